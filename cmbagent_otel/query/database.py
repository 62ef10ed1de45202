"""Reading the database: never a write, and what goes wrong told in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from cmbagent_otel.errors import SchemaOutOfDateError, StoreError, StoreUnavailableError
from cmbagent_otel.store.engine import open_engine

_NO_TABLE = ("no such table", "no such column", "does not exist")


class Reader:
    """A database opened for reading only; close it, or use it as a context manager.

    Raises:
        SettingsError: the URL is none.
        StoreUnavailableError: there is no such SQLite file.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url, read_only=True)
        self.name = self.engine.url.render_as_string(hide_password=True)
        """The URL as people may see it: without its password."""
        path = sqlite_path(url)
        if path is not None and not path.exists():
            raise StoreUnavailableError(
                f"There is no database at {path}. A traced program makes it: `cmbagent-otel run SCRIPT`. "
                "Another one is named by --database or CMBAGENT_OTEL_DATABASE_URL."
            )
        if path is not None:
            self.name = str(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for one short read, all of it at one moment.

        Raises:
            StoreUnavailableError: the database is away.
            SchemaOutOfDateError: its tables are missing or of another version.
            StoreError: it refused for another reason.
        """
        with telling(self.name), self.engine.connect() as connection:
            yield connection


@contextmanager
def telling(name: str) -> Iterator[None]:
    """Tell what the database called ``name`` refuses in our own words.

    Raises:
        StoreUnavailableError: the database is away.
        SchemaOutOfDateError: its tables are missing or of another version.
        StoreError: it refused for another reason.
    """
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        raise _told(error, name) from error
    except DBAPIError as error:
        raise StoreError(f"{name} refused to answer: {_reason(error)}") from error
    except CommandError as error:
        raise StoreError(f"{error}. `cmbagent-otel db current` says where the tables are.") from error


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases and for one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def _told(error: DBAPIError, name: str) -> StoreError:
    reason = _reason(error)
    if any(words in reason for words in _NO_TABLE) and "database" not in reason:
        return SchemaOutOfDateError(
            f"{name} has not the tables of this version ({reason}). Type `cmbagent-otel db upgrade`."
        )
    if isinstance(error, ProgrammingError):
        return StoreError(f"{name} refused to answer: {reason}")
    return StoreUnavailableError(f"{name} can't be reached: {reason}. `cmbagent-otel doctor` looks closer.")


def _reason(error: DBAPIError) -> str:
    return " ".join(str(error.orig).strip().splitlines()[:1])
