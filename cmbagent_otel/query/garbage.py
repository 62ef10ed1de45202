"""Python's search for garbage, kept away from where thousands of rows are made that all are kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Do the block, or the function that this decorates, without the collector of cyclic garbage.

    It runs again and again while many objects are made, and finds none of those that a reading has made: a third of
    the time of reading a large run. Where the program had it off it stays off. What other threads leave meanwhile is
    collected after.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
