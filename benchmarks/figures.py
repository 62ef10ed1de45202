"""What a benchmark hands on: figures by name, one for each round.

A name with " : " in it is a ratio of two things in one round; what is asked of it may stand in brackets at its end, as
in ``ours : theirs (<= 0.5)``. All others are the figures behind the ratios.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

_NAME = re.compile(r"(?P<what>.+?)(?: \((?P<bound>[<>]=) (?P<asked>[\d.]+)\))?")


class Name(NamedTuple):
    """The name of a figure, taken apart."""

    what: str
    bound: str
    asked: float

    @property
    def is_ratio(self) -> bool:
        """Whether two things were compared."""
        return " : " in self.what

    def is_met_by(self, value: float) -> bool:
        """Whether ``value`` is what was asked; where nothing was, it is."""
        return not self.bound or (value <= self.asked if self.bound == "<=" else value >= self.asked)


def name_of(text: str) -> Name:
    """``text`` taken apart."""
    found = _NAME.fullmatch(text)
    assert found
    return Name(found["what"], found["bound"] or "", float(found["asked"] or 0))


def by_name(rounds: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """The figures of some rounds, by name."""
    figures: dict[str, list[float]] = {}
    for each in rounds:
        for name, value in each.items():
            figures.setdefault(name, []).append(value)
    return figures


def hand_on(
    path: Path, parts: Mapping[str, Mapping[str, Sequence[float]]], distributions: Iterable[str] = (), **versions: str
) -> None:
    """Write the figures of each part, with the versions of what was compared."""
    for distribution in distributions:
        versions[distribution] = metadata.version(distribution)
    content: dict[str, Any] = {"parts": parts, "versions": versions, "load": os.getloadavg()[0]}
    path.write_text(json.dumps(content, indent=1))
