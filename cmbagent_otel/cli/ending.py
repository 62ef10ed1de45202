"""How a program under ``run`` ends, and what the tracing is told of it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

_FLUSH_SECONDS = 10.0


class Terminated(BaseException):
    """The program was asked to end by SIGTERM. Never raised: it is what the trace says."""


_interrupted = threading.Event()


def ended_by(error: BaseException) -> None:
    """Say that ``error`` ends the program: once its threads have ended, and before anything else at exit."""
    if isinstance(error, KeyboardInterrupt):
        _interrupted.set()
    atexit.register(_shut_down, error)


def remember_interrupts() -> None:
    """See that a program that an interrupt has ended still dies of SIGINT.

    Python remembers the interrupt until any source text is executed again, and named tuples, of which the
    flushing at exit may make some, are made of source text. So it is reminded, after everything else at exit.
    """
    atexit.register(_remind)


def _remind() -> None:
    if _interrupted.is_set():
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102


def flush_on_sigterm() -> None:
    """Write what is queued before SIGTERM ends the process, where the program leaves SIGTERM at its default."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    signal.signal(signal.SIGTERM, _end)
    # Forked children keep the default. A signal sent to one before Python has set it up would be forgotten by
    # a handler, so it has to wait until the default is back.
    os.register_at_fork(before=_hold_sigterm, after_in_parent=_release_sigterm, after_in_child=_begin_child)


_mask = threading.local()


def _hold_sigterm() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _release_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _begin_child() -> None:
    if signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release_sigterm()


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, signal.SIG_DFL)
    # Not on this thread: it may hold the very lock that flushing needs.
    flushing = threading.Thread(target=_shut_down, args=(Terminated("SIGTERM"),), daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
    os.kill(os.getpid(), number)


def _shut_down(error: BaseException) -> None:
    composition = sys.modules.get("cmbagent_otel.composition")
    if composition is not None:
        composition.shutdown(error)
