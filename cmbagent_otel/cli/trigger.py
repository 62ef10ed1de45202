"""Setting the tracing up at the moment when the program first imports what is traced, and not before.

What we need (SQLAlchemy, Pydantic, the SDK) would otherwise be imported before the program, and beat files
of the same names beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_TRACED = ("ag2", "autogen", "cmbagent")
_OURS = "cmbagent_otel."
_NEVER_TRACED = ("cmbagent_otel.cli", "cmbagent_otel.version")


class Trigger:
    """A finder of ``sys.meta_path`` that finds nothing: it sees the first import of AG2, of CMBAgent or of us."""

    def __init__(self, workflow: str, overrides: Mapping[str, str], *, started_at: int) -> None:
        self._workflow = workflow
        self._overrides = overrides
        self._started_at = started_at
        self._folder = os.getcwd()  # noqa: PTH109 - pathlib is heavy before a script

    def wait_for_import(self) -> None:
        """Set the tracing up once the program imports what is traced."""
        sys.meta_path.insert(0, self)

    def start_now(self) -> None:
        """Set the tracing up; what can't be set up is told in one line, and the program runs on untraced."""
        try:
            from cmbagent_otel.composition import configure

            configure(workflow=self._workflow, lazy=True, started_at=self._started_at, **self._settings())
        except Exception as error:  # noqa: BLE001 - whatever it is, the program runs on
            told = " ".join(f"{type(error).__name__}: {error}".split())
            sys.stderr.write(
                f"cmbagent-otel: tracing could not be set up ({told}). The program runs on untraced; "
                "`cmbagent-otel doctor` looks closer.\n"
            )

    def _settings(self) -> dict[str, str]:
        """What overrides the environment; relative paths mean the folder in which the program was started."""
        from cmbagent_otel.settings import DAG_EXPORTER, DEFAULT_DATABASE_URL, load

        overrides = dict(self._overrides)
        if os.getcwd() == self._folder:  # noqa: PTH109
            return overrides
        config = load(**overrides)
        url = config.database_url or DEFAULT_DATABASE_URL
        scheme, slashes, path = url.partition(":///")
        is_relative = scheme.startswith("sqlite") and path and not path.startswith(("/", ":", "file:"))
        if is_relative and (config.database_url or DAG_EXPORTER in config.exporters):
            overrides["database_url"] = f"{scheme}{slashes}{self._folder}/{path}"
        if config.spool_dir is not None:
            overrides["spool_dir"] = os.path.join(self._folder, config.spool_dir)  # noqa: PTH118
        return overrides

    def child_environment(self) -> dict[str, str]:
        """The environment for children that shall join the run around the program."""
        from cmbagent_otel.composition import child_env

        return child_env()

    def propagate(self) -> None:
        """Let child processes join the run."""
        from cmbagent_otel.settings import pass_on

        pass_on(self.child_environment())

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Set the tracing up before ``name`` is imported, if it is what we wait for; then let the others find it."""
        traced = name in _TRACED or (name.startswith(_OURS) and not name.startswith(_NEVER_TRACED))
        if not traced or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        self.start_now()
        if name in sys.modules:
            return _spec_of_loaded(sys.modules[name])
        for finder in list(sys.meta_path):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None


class _Loaded:
    """A loader of what setting up has already imported: the import that it interrupted must not run it again."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _spec_of_loaded(module: ModuleType) -> ModuleSpec:
    is_package = hasattr(module, "__path__")
    return ModuleSpec(module.__name__, _Loaded(module), is_package=is_package)  # type: ignore[arg-type]
