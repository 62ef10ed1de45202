"""Small facts about values that the projections share."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

_ID_LENGTH = 36


def is_id(value: object) -> bool:
    """Whether ``value`` has the form of the ids that this package writes."""
    return isinstance(value, str) and len(value) == _ID_LENGTH


def derived_id(own_id: str, part: str) -> str:
    """The id of something that belongs to a node: a UUID that any second delivery derives again."""
    digest = hashlib.blake2b(f"{own_id} {part}".encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{digest[0:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def structured(value: Any) -> Any:
    """What a JSON string holds; any other value as it is. Both forms are in the wild."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def integer(value: object) -> int | None:
    """``value`` as an integer, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None
