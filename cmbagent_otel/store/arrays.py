"""Columns as PostgreSQL's binary arrays, each made at once.

psycopg makes an array value by value, and asks for the type of each; here the caller knows the type, and values that
stand often in a column are encoded once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_NULL = b"\xff\xff\xff\xff"
_HEAD = struct.Struct("!5i")
_LENGTH = struct.Struct("!i").pack
_2000_01_01 = 946_684_800_000_000
"""PostgreSQL's epoch, in microseconds of the other."""


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH(len(encoded)) + encoded


def _timestamp(microseconds: int) -> bytes:
    return _BIGINT(8, microseconds - _2000_01_01)


_BIGINT = struct.Struct("!iq").pack


def _fixed(form: str, size: int) -> Callable[[Any], bytes]:
    pack = struct.Struct(f"!i{form}").pack
    return lambda value: pack(size, value)


class _Kind(NamedTuple):
    element: int
    """Object id of the type, as PostgreSQL's catalog has it."""
    array: int
    encode: Callable[[Any], bytes]


_KINDS = {
    "text": _Kind(25, 1009, _text),
    "integer": _Kind(23, 1007, _fixed("i", 4)),
    "bigint": _Kind(20, 1016, _fixed("q", 8)),
    "boolean": _Kind(16, 1000, _fixed("?", 1)),
    "float8": _Kind(701, 1022, _fixed("d", 8)),
    "timestamp": _Kind(1114, 1115, _timestamp),
}


class Array:
    """Values of one type or None, as a parameter of a statement."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values


class _ArrayDumper(Dumper):
    format = Format.BINARY
    kind: _Kind

    def dump(self, obj: Array) -> Buffer:
        values = obj.values
        head = _HEAD.pack(1, None in values, self.kind.element, len(values), 1)
        return head + (_ids(values) or self._encoded(values))

    def _encoded(self, values: Sequence[Any]) -> bytes:
        encode = self.kind.encode
        known: dict[Any, bytes] = {None: _NULL}
        found = []
        for value in values:
            encoded = known.get(value)
            if encoded is None:
                encoded = known[value] = encode(value)
            found.append(encoded)
        return b"".join(found)


_ID = 36
_LENGTH_OF_ID = _LENGTH(_ID)


def _ids(values: Sequence[Any]) -> bytes | None:
    """The values where all are ids of the usual length."""
    if not isinstance(values[0], str) or len(values[0]) != _ID or None in values or set(map(len, values)) != {_ID}:
        return None
    joined = _LENGTH_OF_ID.decode().join(values)
    return _LENGTH_OF_ID + joined.encode() if joined.isascii() else None


def _register(name: str, kind: _Kind) -> type[Array]:
    array = type(f"{name.title()}Array", (Array,), {"__slots__": ()})
    dumper = type(f"{name.title()}ArrayDumper", (_ArrayDumper,), {"oid": kind.array, "kind": kind})
    psycopg.adapters.register_dumper(array, dumper)
    return array


ARRAYS = {name: _register(name, kind) for name, kind in _KINDS.items()}
"""The class of parameter for each type: ``text``, ``integer``, ``bigint``, ``boolean``, ``float8``, and ``timestamp``
from microseconds since 1970."""
