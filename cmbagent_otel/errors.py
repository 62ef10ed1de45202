"""The error tree.

    CmbagentOtelError
    ├── SettingsError             a variable or option has a value we can't use
    ├── DecodeError               bytes that should be OTLP are not
    ├── InstrumentationError      a hook could not be installed as asked
    ├── RedoLimitExceeded         the program set ``max_redos`` and asked for one more
    ├── UnknownRunError           no run, or more than one, answers to that name
    └── StoreError                the database said no
        ├── StoreUnavailableError     it is away; the same call may succeed later
        └── SchemaOutOfDateError      its tables are missing, older or newer than this package

Tracing code never raises into the user's program: of these only ``RedoLimitExceeded`` and what
``configure()`` is told to raise ever reach it. Each message names the fix.
"""

from __future__ import annotations


class CmbagentOtelError(Exception):
    """Base of everything this package raises on purpose."""


class SettingsError(CmbagentOtelError):
    """A setting has a value that can't be used; the message names the variable and the fix."""


class DecodeError(CmbagentOtelError):
    """Input that should be OTLP could not be read."""


class InstrumentationError(CmbagentOtelError):
    """A hook could not be installed as asked."""


class RedoLimitExceeded(CmbagentOtelError):
    """The program passed ``max_redos`` and asked for one redo more."""


class UnknownRunError(CmbagentOtelError):
    """No run answers to the name given, or more than one does."""


class StoreError(CmbagentOtelError):
    """The database refused what was asked of it."""


class StoreUnavailableError(StoreError):
    """The database can't be reached now; the same call may succeed later."""


class SchemaOutOfDateError(StoreError):
    """The tables are missing, or made by another version of this package."""
