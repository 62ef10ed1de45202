"""Two agents and a tool, without one line about tracing. Needs OPENAI_API_KEY, and reads OPENAI_BASE_URL.

    cmbagent-otel run examples/plain_chat.py

Without a key, let a scripted model answer:

    python -m cmbagent_otel.testing examples/plain_chat.json cmbagent-otel run examples/plain_chat.py
"""

import math
import os
from typing import Annotated

from autogen import ConversableAgent, register_function


def comoving_volume(distance: Annotated[float, "comoving distance in Gpc"]) -> str:
    """Volume of a sphere in a flat universe."""
    return f"{4 / 3 * math.pi * distance**3:.1f} Gpc^3"


astronomer = ConversableAgent(
    "astronomer",
    system_message="You are the astronomer. Answer with the help of your tool, then say TERMINATE.",
    llm_config={
        "config_list": [{"model": "gpt-4o-mini", "api_key": os.environ["OPENAI_API_KEY"]}],
        "cache_seed": None,
    },
)
student = ConversableAgent(
    "student",
    llm_config=False,
    human_input_mode="NEVER",
    is_termination_msg=lambda message: "TERMINATE" in (message.get("content") or ""),
)
register_function(
    comoving_volume, caller=astronomer, executor=student, description="Volume of a sphere in a flat universe."
)

result = student.initiate_chat(
    astronomer, message="How much volume lies within a comoving distance of 2 Gpc?", max_turns=3
)
print(result.summary)
