"""Hooks into agent frameworks. Each instrumentor stands alone; what they share is here.

``calls`` is the life of a hooked call, ``points`` installs and removes hooks, ``health`` counts what went wrong.
"""
