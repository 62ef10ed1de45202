"""Every setting, and the only reader of the environment.

``docs/configuration.md`` is generated from this module. An empty variable counts as unset, as the
OpenTelemetry specification says.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cmbagent_otel.errors import SettingsError

DEFAULT_DATABASE_URL = "sqlite:///cmbagent_otel.db"
DAG_EXPORTER = "cmbagent_dag"
OTLP_EXPORTER = "otlp"

ContentGate = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]


def _alias(name: str) -> AliasChoices:
    return AliasChoices(name)


class Settings(BaseSettings):
    """What the environment asks of us. Values given as keyword arguments win over the environment."""

    model_config = SettingsConfigDict(
        env_prefix="CMBAGENT_OTEL_", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL of the database. `postgresql://` means psycopg 3. SQLite paths are resolved once, "
        f"at start. Unset: `{DEFAULT_DATABASE_URL}`.",
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder for records that wait for the database. Unset: `$XDG_STATE_HOME/cmbagent-otel/spool`, "
        "with `~/.local/state` where that is unset.",
    )
    spool_limit_mb: int = Field(1024, ge=1, description="Bound of the spool on disk, in MB.")
    queue_limit: int = Field(
        16384, ge=512, description="Bound of the records held in memory; past it they are spooled to disk."
    )
    exit_timeout: float = Field(5.0, ge=0, description="Seconds that the exit of a program may wait for the database.")
    heartbeat_interval: float = Field(30.0, gt=0, description="Seconds between two heartbeats of a running run.")
    max_redos: int = Field(
        2, ge=0, description="Redos of a step that are expected; one more is recorded with `over_limit` and warned of."
    )
    run_id: str | None = Field(None, description="Run that this process joins, as `child_env()` sets it.")
    session_id: str | None = Field(None, description="Session of the run; unset: the run's own id.")
    content_limit: int = Field(
        65536, ge=256, description="Characters kept of one message, code block or output, where content is on."
    )
    propagate_threads: bool = Field(
        False, description="Carry the trace into every thread and executor of the process, not only AG2's own."
    )
    token: SecretStr | None = Field(
        None, description="Bearer token of the sink and the viewer; needed on any address but loopback."
    )

    sdk_disabled: bool = Field(
        False, validation_alias=_alias("OTEL_SDK_DISABLED"), description="`true`: nothing is installed at all."
    )
    traces_exporter: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        None,
        validation_alias=_alias("OTEL_TRACES_EXPORTER"),
        description="Comma-separated exporters. Unset: `cmbagent_dag`; with an OTLP endpoint alone `otlp`; with an "
        "endpoint and `CMBAGENT_OTEL_DATABASE_URL` both.",
    )
    logs_exporter: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=_alias("OTEL_LOGS_EXPORTER"),
        description="`otlp` sends start records and heartbeats too, for the Collector's logs pipeline.",
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias=_alias("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where `otlp` sends to, as in the OpenTelemetry specification.",
    )
    otlp_traces_endpoint: str | None = Field(
        None,
        validation_alias=_alias("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        description="The same, for traces alone.",
    )
    otlp_protocol: str = Field(
        "",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        description="`grpc` or `http/protobuf`; unset: the SDK's default.",
    )
    traceparent: str | None = Field(
        None, validation_alias=_alias("TRACEPARENT"), description="Trace that this process joins."
    )
    content_gate: str = Field(
        "NO_CONTENT",
        validation_alias=_alias("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
        description="The one content gate: `SPAN_ONLY`, `EVENT_ONLY` and `SPAN_AND_EVENT` store content in our tables, "
        "`SPAN_*` also on exported spans; anything else is off and warns.",
    )

    @field_validator("traces_exporter", "logs_exporter", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
        return value

    @cached_property
    def exporters(self) -> tuple[str, ...]:
        """The names of the trace exporters to use, with the defaults of the specification and of ours."""
        if self.traces_exporter is not None:
            return () if self.traces_exporter == ("none",) else self.traces_exporter
        if self.otlp_endpoint or self.otlp_traces_endpoint:
            return (DAG_EXPORTER, OTLP_EXPORTER) if self.database_url else (OTLP_EXPORTER,)
        return (DAG_EXPORTER,)

    @cached_property
    def resolved_database_url(self) -> str:
        """The database's URL with the path of a SQLite file made absolute, so that a ``chdir`` moves nothing."""
        url = self.database_url or DEFAULT_DATABASE_URL
        scheme, separator, path = url.partition(":///")
        if scheme.startswith("sqlite") and separator and path and not path.startswith(("/", ":", "file:")):
            return f"{scheme}:///{Path(path).absolute()}"
        return url

    @cached_property
    def resolved_spool_dir(self) -> Path:
        """The spool's folder for this database: what waits for one must never be written to another."""
        base = self.spool_dir or _state_dir() / "spool"
        digest = hashlib.sha256(self.resolved_database_url.encode()).hexdigest()[:12]
        return base.absolute() / digest

    @property
    def runs_dir(self) -> Path:
        """The folder that knows where this machine's runs were left."""
        return _state_dir() / "runs"

    @property
    def content_recorded(self) -> bool:
        """Whether content is stored in our tables."""
        return self.content_gate.upper() in {"SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"}

    @property
    def content_on_spans(self) -> bool:
        """Whether content is also put on the spans that other exporters see."""
        return self.content_gate.upper() in {"SPAN_ONLY", "SPAN_AND_EVENT"}

    @property
    def content_gate_is_known(self) -> bool:
        """Whether the gate has one of OpenTelemetry's values."""
        return self.content_recorded or self.content_gate.upper() == "NO_CONTENT"


def _state_dir() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "cmbagent-otel"


def load(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` win.

    Raises:
        SettingsError: a variable has a value that can't be used; the message names it.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{variable_of(str(first['loc'][0]))}: {first['msg']} (got {first['input']!r})") from None


def variable_of(field: str) -> str:
    """The environment variable behind a field of :class:`Settings`."""
    if field not in Settings.model_fields:
        return field
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"CMBAGENT_OTEL_{field.upper()}"


def child_environment(additions: dict[str, str]) -> dict[str, str]:
    """A copy of this process's environment with ``additions``; this process's own stays as it is."""
    return {**os.environ, **additions}


def pass_on(environment: dict[str, str]) -> None:
    """Put ``environment`` into this process's own, so that all its children get it: only where the user asks."""
    os.environ.update(environment)


def clean_python_path() -> None:
    """Take out of ``PYTHONPATH`` what ``opentelemetry-instrument`` put there, so that child pythons start as ever."""
    path = os.environ.get("PYTHONPATH")
    if not path:
        return
    kept = [entry for entry in path.split(os.pathsep) if not entry.endswith(_AUTO_INSTRUMENTATION)]
    if len(kept) == len(path.split(os.pathsep)):
        return
    if kept:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        del os.environ["PYTHONPATH"]


_AUTO_INSTRUMENTATION = str(Path("opentelemetry", "instrumentation", "auto_instrumentation"))
