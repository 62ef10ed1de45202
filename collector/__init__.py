"""The sink as a program of its own, beside the configurations of the Collector and of Jaeger."""
