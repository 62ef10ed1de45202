"""Random numbers of our own: a program that seeds the module ``random`` draws the same numbers as without us.

Not from the system for each number, which is a system call; seeded by it, and anew in a forked child.
"""

from __future__ import annotations

import itertools
import os
import random

_random = random.Random()  # noqa: S311 - ids, no secrets

bits = _random.getrandbits
"""``bits(n)``: so many random bits."""


class _Uuids:
    """Those of one process: what they share is drawn once, and they are counted on from a number that is, too."""

    def __init__(self) -> None:
        self.shared = f"{bits(32):08x}-{bits(16):04x}-4{bits(12):03x}-a{bits(12):03x}-"
        self.count = itertools.count(bits(47))


_uuids = _Uuids()


def _begin_anew() -> None:
    global _uuids  # noqa: PLW0603 - a process has one
    _random.seed()
    _uuids = _Uuids()


os.register_at_fork(after_in_child=_begin_anew)


def new_uuid() -> str:
    """A UUID, version 4: 72 random bits of this process, and a number that it gives out once."""
    return f"{_uuids.shared}{next(_uuids.count):012x}"
