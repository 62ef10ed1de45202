"""Stock CMBAgent, without one line about tracing: its engineer writes code, runs it, and mends it until it runs.

    cmbagent-otel run examples/cmbagent_one_shot.py
    cmbagent-otel show last

Needs `pip install cmbagent "mistralai<2"` (Python 3.12) and OPENAI_API_KEY. Without a key a scripted model answers:

    python -m cmbagent_otel.testing examples/cmbagent_one_shot.json cmbagent-otel run examples/cmbagent_one_shot.py
"""

import cmbagent

result = cmbagent.one_shot(
    "Draw 1000 numbers from a Gaussian of width 2 and print their standard deviation.",
    agent="engineer",
    work_dir="one_shot",
)
print("attempts that failed:", result["final_context"]["n_attempts"])
