"""How a database would go about a statement: what it reads whole, and by which indexes it finds its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

from tests.query.filled import LARGE

_TABLE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+({'|'.join(LARGE)})\b(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
_WORDS = {"left", "join", "on", "where", "cross", "set", "group", "order", "values", "inner"}


class Plan(NamedTuple):
    """A plan, as far as it is of large tables."""

    read_whole: frozenset[str]
    """Tables of which every row is looked at, also by way of an index."""
    indexes: frozenset[str]
    """Indexes by which rows are looked up."""
    shown: str


def explain(engine: Engine, cursor: Any, statement: str, parameters: Any = ()) -> Plan:
    """The plan of ``statement``, which is not executed."""
    if engine.dialect.name == "sqlite":
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return _of_sqlite(statement, [row[-1] for row in cursor.fetchall()])
    cursor.execute(f"EXPLAIN (FORMAT JSON, VERBOSE) {statement}", parameters)
    ((found,),) = cursor.fetchall()
    parts = list(_parts(found[0]["Plan"]))
    scans = [part for part in parts if part["Node Type"].endswith("Scan")]
    whole = {
        str(part.get("Relation Name"))
        for part in scans
        if "Index Cond" not in part and part["Node Type"] != "Bitmap Heap Scan"
    }
    indexes = {str(part["Index Name"]) for part in scans if "Index Cond" in part}
    shown = "\n".join(
        f"{part['Node Type']} {part.get('Relation Name', '')} {part.get('Index Name', '')}" for part in parts
    )
    return Plan(LARGE & whole, frozenset(indexes), shown)


def _parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _parts(part)


def _of_sqlite(statement: str, lines: list[str]) -> Plan:
    names = {table: table for table in LARGE}
    for table, alias in _TABLE.findall(statement):
        if alias and alias.lower() not in _WORDS:
            names[alias] = table.lower()
    whole, indexes = set(), set()
    for line in lines:
        named = re.match(r"(?:SCAN|SEARCH|BLOOM FILTER ON) (\w+)", line)
        table = names.get(named[1]) if named else None
        if table and (not line.startswith("SEARCH") or "AUTOMATIC" in line):
            whole.add(table)
        elif found := re.search(r"INDEX (\w+) \((?!\))", line):
            indexes.add(found[1])
    return Plan(frozenset(whole), frozenset(indexes), "\n".join(lines))


@contextmanager
def watched(engine: Engine) -> Iterator[dict[str, Plan]]:
    """The plans of all statements that run meanwhile, each with the settings and the parameters of its first run."""
    plans: dict[str, Plan] = {}

    def look(connection: Any, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        kind = re.sub(r"\s+", " ", re.sub(r"\((?:(?:\?|%\(\w+\)s(?:::\w+)?)(?:, )?)+\)", "(...)", statement)).strip()
        if kind in plans or not kind.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            return
        with closing(connection.connection.driver_connection.cursor()) as cursor:
            plans[kind] = explain(engine, cursor, statement, parameters[0] if many else parameters)

    event.listen(engine, "before_cursor_execute", look)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", look)
