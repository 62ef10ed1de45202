"""What is installed in this Python, as far as tracing is concerned."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from cmbagent_otel.cli.findings import Finding, fine, mend, note
from cmbagent_otel.version import __version__

_CORE = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp", "sqlalchemy", "alembic", "psycopg")
_AG2 = ("ag2", "autogen", "pyautogen", "cmbagent_autogen")
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "serve": ("starlette", "uvicorn", "jinja2"),
    "sink": ("starlette", "uvicorn", "opentelemetry-proto"),
    "auto": ("opentelemetry-distro",),
}


def look() -> Iterator[Finding]:
    """One finding a package or group of packages."""
    yield fine("python", f"{platform.python_version()} at {sys.executable}")
    yield fine("cmbagent-otel", __version__)
    missing = [name for name in _CORE if installed(name) is None]
    if missing:
        yield mend("core", f"not installed: {', '.join(missing)}", "pip install --force-reinstall cmbagent-otel")
    else:
        yield fine("core", ", ".join(f"{name} {installed(name)}" for name in _CORE))
    yield _ag2()
    yield _optional("cmbagent")
    if installed("opentelemetry-distro") is not None:
        yield note(
            "distro",
            "under opentelemetry-instrument its own defaults win: OTEL_TRACES_EXPORTER=otlp, protocol grpc",
            "export OTEL_TRACES_EXPORTER=cmbagent_dag,otlp there",
        )
    for extra, names in _EXTRAS.items():
        absent = [name for name in names if installed(name) is None]
        if absent:
            yield note(f"[{extra}]", f"not installed: {', '.join(absent)}", f"pip install 'cmbagent-otel[{extra}]'")
        else:
            yield fine(f"[{extra}]", ", ".join(f"{name} {installed(name)}" for name in names))


def installed(distribution: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _ag2() -> Finding:
    found = [f"{name} {installed(name)}" for name in _AG2 if installed(name) is not None]
    if not found:
        return note(
            "AG2", "none found in this Python: there is nothing to hook", "pip install 'cmbagent-otel[autogen]'"
        )
    same_module = [name for name in _AG2[1:] if installed(name) is not None]
    if len(same_module) > 1:
        return mend(
            "AG2",
            f"{', '.join(found)}: more than one gives the module autogen, and they overwrite each other",
            f"pip uninstall {' '.join(same_module[1:])}, then pip install --force-reinstall {same_module[0]}",
        )
    return fine("AG2", ", ".join(found))


def _optional(name: str) -> Finding:
    found = installed(name)
    return note(name, "not installed") if found is None else fine(name, found)
