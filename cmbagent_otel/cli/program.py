"""A Python program in this process, as ``python`` itself would run it.

It gets a ``__main__`` that lasts, ``sys.argv`` and ``sys.path[0]``; exit codes and tracebacks are its own.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from cmbagent_otel.cli.ending import ended_by, flush_on_sigterm, remember_interrupts


def run_path(path: str, arguments: Sequence[str]) -> None:
    """Run a script, a folder or an archive with a ``__main__``; raises what it raises."""
    full = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118 - textual, as python does it
    try:
        os.stat(full)  # noqa: PTH116
    except OSError as error:
        sys.stderr.write(f"{sys.executable}: can't open file {full!r}: [Errno {error.errno}] {error.strerror}\n")
        sys.exit(2)
    sys.argv[:] = [path, *arguments]
    if os.path.isdir(full) or path.endswith((".pyz", ".zip")):  # noqa: PTH112
        _set_path(full, always=True)
        _run_as_main("__main__", alter_argv=False)
        return
    _set_path(os.path.dirname(os.path.realpath(full)))  # noqa: PTH120
    main = _fresh_main()
    main.__file__ = full
    loader: Any = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", full)
    main.__loader__ = loader
    main.__dict__["__cached__"] = None
    _guarded(lambda: _execute(_code(loader, full), main))


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module or package as ``python -m`` does; raises what it raises."""
    sys.argv[:] = ["-m", *arguments]
    _set_path(os.getcwd())  # noqa: PTH109
    _run_as_main(name, alter_argv=True)


def _run_as_main(name: str, *, alter_argv: bool) -> None:
    import runpy

    _fresh_main()
    as_main = runpy._run_module_as_main  # type: ignore[attr-defined]  # noqa: SLF001 - what `python -m` itself calls
    _guarded(lambda: _execute_module(as_main, name, alter_argv))


def _set_path(first: str, *, always: bool = False) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = first
    elif always:
        sys.path.insert(0, first)


_replaced: list[ModuleType] = []
"""The ``__main__`` that the interpreter began with: it goes on to use its namespace after an exception, unasked."""


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__annotations__={}, __builtins__=builtins)
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


def _code(loader: Any, path: str) -> CodeType:
    if isinstance(loader, SourceFileLoader):
        code: CodeType = loader.source_to_code(loader.get_data(path), path)
        return code
    found: CodeType = loader.get_code("__main__")
    return found


def _execute(code: CodeType, main: ModuleType) -> None:
    exec(code, main.__dict__)  # noqa: S102 - running the program is what we are for


def _execute_module(as_main: Callable[..., object], name: str, alter_argv: bool) -> None:
    as_main(name, alter_argv)


_OURS = frozenset({_execute.__code__, _execute_module.__code__})


def _guarded(program: Callable[[], None]) -> None:
    flush_on_sigterm()
    remember_interrupts()
    try:
        program()
    except BaseException as error:
        ended_by(error)
        _hide_our_frames()
        raise


def _hide_our_frames() -> None:
    """Let the interpreter show the program's traceback as if we were not there, by whatever hook the program set."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        sys.excepthook = shown
        while traceback is not None and traceback.tb_frame.f_code not in _OURS:
            traceback = traceback.tb_next
        own = traceback.tb_next if traceback is not None else None
        error.__traceback__ = sys.last_traceback = own
        shown(kind, error, own)

    sys.excepthook = show
