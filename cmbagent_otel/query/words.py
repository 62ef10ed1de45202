"""Figures as people write them: ``1 m 11 s``, ``$0.90``, ``269 k``. For the command line, the exports and the web."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UNKNOWN = "–"  # noqa: RUF001 - a dash is what people write for "not known"

_CONTROL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x1b\\|\x07|$)|[@-_])|[\x00-\x08\x0b-\x1f\x7f-\x9f]", re.DOTALL
)
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def plain(text: object) -> str:
    """Text of a run without what a terminal would obey: escape sequences, control bytes, direction marks."""
    return _SURROGATES.sub("\ufffd", _DIRECTIONS.sub("", _CONTROL.sub("", str(text))))


def one_line(text: object, width: int = 0) -> str:
    """:func:`plain` text on one line, cut with an ellipsis after ``width`` characters where that is not 0."""
    line = " ".join(plain(text).split())
    return f"{line[: width - 1].rstrip()}…" if 0 < width < len(line) else line


def duration(seconds: float | None) -> str:  # noqa: PLR0911 - one line for each unit
    """``40 ms``, ``4.2 s``, ``42 s``, ``1 m 11 s``, ``3 h 06 m``, ``2 d 04 h``."""
    if seconds is None:
        return UNKNOWN
    if 0 < seconds < 0.0005:
        return "< 1 ms"
    if seconds < 0.9995:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{round(seconds)} s"
    if seconds < 3599.5:
        return _two(round(seconds), 60, "m", "s")
    if seconds < 48 * 3600 - 30:
        return _two(round(seconds / 60), 60, "h", "m")
    return _two(round(seconds / 3600), 24, "d", "h")


def _two(small: int, in_large: int, large_unit: str, small_unit: str) -> str:
    large, rest = divmod(small, in_large)
    return f"{large} {large_unit} {rest:02d} {small_unit}" if rest else f"{large} {large_unit}"


def cost(dollars: float | None, *, at_least: bool = False) -> str:
    """``$3.82``; small sums keep two significant digits, and a sum with something unknown says ``at least``."""
    if dollars is None or (at_least and dollars == 0):
        return UNKNOWN
    if 0 < dollars < 0.0001:
        figure = "< $0.0001"
    elif 0 < dollars < 0.01:
        figure = f"${dollars:.4f}"
    else:
        figure = f"${dollars:,.2f}"
    return f"at least {figure}" if at_least else figure


def count(number: float | None) -> str:
    """``812``, ``9.4 k``, ``269 k``, ``1.2 M``."""
    if number is None:
        return UNKNOWN
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:.0f} {unit}"
    return f"{number:.0f}"


def tokens(read: int | None, written: int | None) -> str:
    """``269 k in, 23 k out``."""
    if not read and not written:
        return UNKNOWN
    return f"{count(read)} in, {count(written)} out"


def size(number: int | None) -> str:
    """Bytes: ``812 B``, ``64 kB``, ``2.1 MB``."""
    return UNKNOWN if number is None else f"{count(number)}{'' if number >= 999.5 else ' '}B"


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 step``, ``3 steps``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(unix_nano: int | None, *, zone: bool = False) -> str:
    """``2026-11-22 14:11:47`` in the local time zone."""
    if unix_nano is None:
        return UNKNOWN
    try:
        local = (_EPOCH + timedelta(microseconds=unix_nano // 1000)).astimezone()
    except (OverflowError, OSError, ValueError):
        return UNKNOWN
    return local.strftime("%Y-%m-%d %H:%M:%S %z" if zone else "%Y-%m-%d %H:%M:%S")


def iso(unix_nano: int | None) -> str | None:
    """``2026-11-22T14:11:47.123456Z``, for programs."""
    if unix_nano is None:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=unix_nano // 1000)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
