"""What the instrumentors share: hooks that go in once, when their framework is imported, and come out again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # it has no types

from cmbagent_otel import destination, settings
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.instrumentation.points import Installation, Point, when_imported

_logger = logging.getLogger(__name__)


class HookInstrumentor(BaseInstrumentor):  # type: ignore[misc] # as above
    """Hooks one framework. ``instrument()`` does it now, or when the program imports it."""

    framework: ClassVar[str]
    """What people call it."""
    module: ClassVar[str]
    """What programs import."""

    def __init__(self) -> None:
        if not hasattr(self, "_installation"):  # the base class makes one instance of us, and calls this each time
            self._installation = Installation(self.module)
            self._prepare()

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is hooked is found by module and method, whatever distribution brings it."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Put the hooks in. A second call wraps nothing twice.

        Args:
            kwargs: ``tracer_provider`` takes the place of the global one.
        """
        if self.is_instrumented_by_opentelemetry and self._installation.switch.on:
            _logger.info("%s hooks already installed", self.framework)
            return
        super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        if _is_disabled():
            _logger.debug("OTEL_SDK_DISABLED is set: no hooks for %s", self.framework)
            return
        provider = kwargs.get("tracer_provider")
        if provider is not None:
            destination.use_provider(provider)
        self._installation.switch.on = True
        self._when_imported(self.module, self._install_all)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._installation.remove()

    def _install_all(self) -> None:
        self._install()
        _logger.info("%s hooks installed successfully (%d points)", self.framework, len(self._installation))

    def _put_when_imported(self, points: Iterable[Point]) -> None:
        """Put each point in once its module is loaded: now, or later."""
        for point in points:
            self._when_imported(point.module, partial(self._installation.put, [point]))

    def _when_imported(self, module: str, put: Callable[[], None]) -> None:
        switch = self._installation.switch
        when_imported(module, lambda: put() if switch.on else None)

    def _prepare(self) -> None:
        """Make what the hooks share, once a process."""

    def _install(self) -> None:
        """Put in every point of the modules that are loaded; the others :meth:`_put_when_imported`."""
        raise NotImplementedError  # pragma: no cover - each framework has its own


def _is_disabled() -> bool:
    try:
        return settings.load().sdk_disabled
    except SettingsError:
        return False
