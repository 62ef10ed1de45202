"""What the models of ``power_spectrum.py`` say when the demo runs offline, agent by agent."""

from __future__ import annotations

from cmbagent_otel.testing import Reply, call_tool, say

SIMULATE = '''
I simulate the ring mode by mode, with random phases, and smooth it with the beam.

```python
# filename: simulate.py
import cmath, math, random

PIXELS, SIGMA = 256, 0.02
random.seed(1)
phases = {k: random.uniform(0, 2 * math.pi) for k in range(1, 65)}

def sky(angle):
    """Amplitude k^-1, so that the power falls as k^-2; the beam damps small scales."""
    return sum(
        k**-1 * math.exp(-((k * SIGMA) ** 2) / 2) * math.cos(k * angle + phase) for k, phase in phases.items()
    )

ring = [sky(2 * math.pi * pixel / PIXELS) for pixel in range(PIXELS)]
with open("ring.csv", "w") as file:
    file.write("\\n".join(f"{value:.12f}" for value in ring))
rms = math.sqrt(sum(value**2 for value in ring) / PIXELS)
print(f"simulated {PIXELS} pixels, rms {rms:.3f}")
assert 0.1 < rms < 10
```
'''

_MEASURE = """
{remark}

```python
# filename: measure.py
import cmath, math

SIGMA = 0.02
ring = [float(line) for line in open("ring.csv")]
modes = range(1, 65)

def power(k):
    amplitude = sum(value * cmath.exp(-2j * math.pi * k * pixel / len(ring)) for pixel, value in enumerate(ring))
    return abs(2 * amplitude / len(ring)) ** 2{beam}

x, y = [math.log(k) for k in modes], [math.log(power(k)) for k in modes]
mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
index = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
with open("index.txt", "w") as file:
    file.write(f"{{index:.4f}}")
print(f"spectral index {{index:.3f}}")
assert abs(index + 2) < 0.05, "the spectrum is steeper than the sky was made: small scales are missing"
```
"""
MEASURE = _MEASURE.format(remark="I take the Fourier transform and fit a line to the logarithms.", beam="")
MEASURE_AGAIN = _MEASURE.format(
    remark="I divide each mode by the window of the beam, then fit as before.",
    beam=" / math.exp(-((k * SIGMA) ** 2))",
)

COMPARE = """
I compare the index with the one of the simulation.

```python
# filename: compare.py
index = float(open("index.txt").read())
print(f"measured {index:.3f}, simulated -2.000, difference {index + 2:+.3f}")
```
"""

REPLIES: dict[str, list[Reply]] = {
    "planner": [
        call_tool(
            "record_plan",
            {
                "steps": [
                    "Simulate the sky as the beam sees it",
                    "Measure the spectral index of its power spectrum",
                    "Compare the index with the one of the simulation",
                ]
            },
        )
    ],
    "reviewer": [call_tool("transfer_to_person_1")],
    "engineer": [say(SIMULATE), say(MEASURE), say(MEASURE_AGAIN), say(COMPARE)],
    "judge": [
        call_tool("record_judgement", {"accepted": True, "remark": "The simulated ring has the expected rms"}),
        call_tool("record_judgement", {"accepted": False, "remark": "Deconvolve the beam before the fit"}),
        call_tool("record_judgement", {"accepted": True, "remark": "The index is -2.000 once the beam is divided out"}),
        call_tool("record_judgement", {"accepted": True, "remark": "Measured and simulated index agree"}),
    ],
}
