"""Random numbers of our own: a program that seeds the module ``random`` draws the same numbers as without us.

Not from the system for each number, which is a system call; seeded by it, and anew in a forked child.
"""

from __future__ import annotations

import os
import random

_random = random.Random()  # noqa: S311 - ids, no secrets
os.register_at_fork(after_in_child=_random.seed)

bits = _random.getrandbits
"""``bits(n)``: so many random bits."""


def new_uuid() -> str:
    """A random UUID, version 4."""
    digits = f"{bits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
