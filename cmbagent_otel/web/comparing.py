"""Two attempts, or two runs, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query.compare import Comparison, Fact, Pair, Side, TextDiff, compare, find_node
from cmbagent_otel.query.load import code_and_output
from cmbagent_otel.web.pages import viewer_of
from cmbagent_otel.web.templating import page
from cmbagent_otel.web.viewer import Viewer


@dataclass(frozen=True)
class DiffLine:
    """A line of a difference: its text, and whether it came or went."""

    text: str
    change: str


def compare_page(request: Request) -> Response:
    """What differs, the hypothesis first; with ``all`` also what does not."""
    viewer = viewer_of(request)
    query = request.query_params
    left, right = _side(viewer, query.get("a", "")), _side(viewer, query.get("b", ""))
    found = compare(left, right, code_and_output(viewer.reader()))
    everything = "all" in query
    calls = [pair for pair in found.calls if everything or pair.change != "same"]
    return page(
        request,
        "compare.html",
        found=found,
        left=left,
        right=right,
        everything=everything,
        facts=[fact for fact in _ordered(found) if everything or fact.differs or fact.name in _ALWAYS],
        plan=[pair for pair in found.plan if everything or pair.change != "same" or _repeated(pair)],
        calls=calls,
        same=len(found.calls) - len(calls),
        texts=[(text, _lines(text)) for text in found.texts],
        all_query=request.url.include_query_params(all=1).query,
        database=viewer.reader().name,
    )


_ALWAYS = ("status", "duration", "cost")


def _ordered(found: Comparison) -> list[Fact]:
    """The figures, the hypothesis before all."""
    return sorted(found.facts, key=lambda fact: fact.name != "hypothesis")


def _side(viewer: Viewer, name: str) -> Side:
    run, colon, node = name.partition(":")
    if not run:
        raise UnknownRunError("Name two runs, or two attempts: /compare?a=RUN:NODE&b=RUN:NODE.")
    view = viewer.snapshot(run).view
    return Side(view, find_node(view, node) if colon else None)


def _repeated(pair: Pair) -> bool:
    """Whether a step of the plan took more than one attempt on a side."""
    return any(node is not None and node.step is not None and len(node.step.attempts) > 1 for node in pair)


def _lines(text: TextDiff) -> list[DiffLine]:
    changes = {"+": "plus", "-": "minus", "@": "place"}
    # The first two lines name the files that a diff of files would have.
    return [DiffLine(line, changes.get(line[:1], "")) for line in text.lines[2:]]
