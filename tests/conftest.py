"""Fixtures for every test: a database of each kind, and a clean OpenTelemetry.

``database_url`` and ``engine`` run a test twice, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, cast

import hypothesis
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.util._once import Once
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from tests.postgresql import URL_VARIABLE, OwnServer, PostgresqlError, Server, describe, start_own_server

BOTH_DATABASES = ["sqlite", "postgresql"]

# -- PostgreSQL: one server a session, started when the first test asks for it ---------------------------

_SERVER = pytest.StashKey[OwnServer]()


def pytest_configure() -> None:
    # AG2 runs code by the name `python`: let that be this one, also where no virtual environment is activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # How long anything takes is for benchmarks/ to say.
    hypothesis.settings.register_profile(
        "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
    )
    hypothesis.settings.load_profile("tests")


def pytest_report_header() -> str:
    return f"PostgreSQL: {describe()}"


def _server_url(config: pytest.Config) -> str:
    if url := os.environ.get(URL_VARIABLE):
        return url
    if _SERVER not in config.stash:
        config.stash[_SERVER] = start_own_server(in_memory=True)
    return config.stash[_SERVER].url


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let the workers of ``-n`` share the controller's server."""
    node.workerinput["postgresql_url"] = _server_url(node.config)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let no lone surrogate, as some tests print, keep a worker of ``-n`` from telling how a test went."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {key: _encodable(below) for key, below in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> Server:
    """The session's PostgreSQL: ``create_database()``, ``drop_database(url)``."""
    workerinput = getattr(request.config, "workerinput", None)
    try:
        return Server(workerinput["postgresql_url"] if workerinput else _server_url(request.config))
    except PostgresqlError as problem:
        pytest.exit(str(problem), returncode=1)


# -- databases ---------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where an SQLite database may be made; nothing is there yet."""
    return f"sqlite:///{tmp_path / 'fresh.db'}"


@pytest.fixture
def postgres_url(postgresql_server: Server) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture(params=BOTH_DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, once of each kind."""
    return cast("str", request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    _upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgresql_template(postgresql_server: Server) -> Iterator[str]:
    url = postgresql_server.create_database()
    _upgrade(url)
    yield cast("str", make_url(url).database)
    postgresql_server.drop_database(url)


def _upgrade(url: str) -> None:
    from cmbagent_otel.store.engine import open_engine
    from cmbagent_otel.store.migrate import upgrade

    engine = open_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()  # a template can only be copied, and a file is only whole, once nobody is connected


@pytest.fixture
def migrated_sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """An SQLite database with the tables of this version, copied from one that was migrated."""
    path = tmp_path / "cmbagent_otel.db"
    shutil.copy(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def migrated_postgres_url(postgresql_server: Server, _postgresql_template: str) -> Iterator[str]:
    """A PostgreSQL database with the tables of this version, copied from one that was migrated."""
    url = postgresql_server.create_database(template=_postgresql_template)
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture(params=BOTH_DATABASES)
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A database with the tables of this version, once of each kind."""
    name = "migrated_sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    return cast("str", request.getfixturevalue(name))


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """An engine on a database with the tables of this version, once of each kind."""
    from cmbagent_otel.store.engine import open_engine

    opened = open_engine(migrated_url)
    yield opened
    opened.dispose()


# -- isolation ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees this machine's OTEL_* and CMBAGENT_OTEL_* variables, nor what another test spooled."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "CMBAGENT_OTEL_")) and name != URL_VARIABLE:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _clean_opentelemetry() -> Iterator[None]:
    """Every test starts without hooks, configuration and global providers; what it left is shut down."""
    _forget()
    yield
    for provider in (trace._TRACER_PROVIDER, metrics_internal._METER_PROVIDER):
        shutdown = getattr(provider, "shutdown", None)
        if shutdown:
            shutdown()
    _forget()


def _below(kind: Any) -> Iterator[Any]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _below(subclass)


def _forget() -> None:
    for instrumentor in _below(BaseInstrumentor):
        if instrumentor._instance is not None and instrumentor._instance.is_instrumented_by_opentelemetry:
            instrumentor._instance.uninstrument()
    for name in ("cmbagent_otel.composition", "cmbagent_otel.scope"):
        if name in sys.modules:  # else there is nothing to forget
            sys.modules[name].reset()
    trace._TRACER_PROVIDER = None
    trace._TRACER_PROVIDER_SET_ONCE = Once()
    metrics_internal._METER_PROVIDER = None
    metrics_internal._METER_PROVIDER_SET_ONCE = Once()
