"""The pages' templates: everything from a run is escaped, whoever forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cmbagent_otel.query import words
from cmbagent_otel.web import looks
from cmbagent_otel.web.bundle import name_of

_environment = Environment(
    loader=PackageLoader("cmbagent_otel.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(words=words, looks=looks)
_environment.filters["line"] = words.one_line
_environment.filters["plain"] = words.plain


class Links:
    """The addresses of the pages, wherever the viewer is mounted."""

    live = True
    """Whether there is a server behind the page."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    def static(self, name: str) -> str:
        """A file of ours."""
        return f"{self.root}/static/{name}"

    def script(self, entry: str) -> str:
        """A module of ours with all that it needs."""
        return f"{self.root}/scripts/{name_of(entry)}"

    def runs(self, query: str = "") -> str:
        """The list of runs."""
        return f"{self.root}/{'?' + query if query else ''}"

    def run(self, run_id: str, query: str = "") -> str:
        """The page of a run."""
        return f"{self.root}/runs/{quote(run_id, safe='')}{'?' + query if query else ''}"

    def node(self, run_id: str, node_id: str) -> str:
        """The page of a node."""
        return f"{self.run(run_id)}/nodes/{quote(node_id, safe='')}"

    def step(self, run_id: str, step: str) -> str:
        """The page of a step and its attempts."""
        return f"{self.run(run_id)}/steps/{quote(step, safe='')}"

    def compare(self, first: str, second: str) -> str:
        """The page that compares two runs, or two attempts written ``run:node``."""
        return f"{self.root}/compare?a={quote(first, safe=':')}&b={quote(second, safe=':')}"

    def export(self, run_id: str, ending: str) -> str:
        """A file with the run in it."""
        return f"{self.run(run_id)}/export.{ending}"


class FileLinks(Links):
    """In an exported file there are no other pages: what is linked is chosen on the same one."""

    live = False

    def __init__(self) -> None:
        super().__init__("")

    def node(self, run_id: str, node_id: str) -> str:
        """The same page, which shows the node."""
        del run_id
        return f"#{quote(node_id, safe='')}"


def links(request: Request) -> Links:
    """The addresses as this request's reader needs them."""
    return Links(request.scope.get("root_path", ""))


def render(name: str, values: Mapping[str, Any]) -> str:
    """A template as text."""
    return _environment.get_template(name).render(values)


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(render(name, {"links": links(request), **values}), status_code=status)
