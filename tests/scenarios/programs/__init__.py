"""The programs of the scenarios, by theme; importing this package registers them all."""

from tests.scenarios.programs import (
    chats,
    code,
    failures,
    groups,
    images,
    models,
    notebooks,
    overrides,
    people,
    threads,
)

__all__ = ["chats", "code", "failures", "groups", "images", "models", "notebooks", "overrides", "people", "threads"]
