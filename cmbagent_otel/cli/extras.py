"""Parts of the package that need an extra: loaded when they are asked for, and where that is missing, its name told."""

from __future__ import annotations

import importlib
from typing import Any

from cmbagent_otel.errors import SettingsError


def part(module: str, name: str, *, extra: str) -> Any:
    """What a module of an extra offers under ``name``.

    Raises:
        SettingsError: the extra is not installed; the message says what to type.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("cmbagent_otel"):
            raise
        raise SettingsError(f"{error.name} is not installed. Type: pip install 'cmbagent-otel[{extra}]'") from None
