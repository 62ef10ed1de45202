"""The collector of garbage is as the program had it, whatever was read."""

from __future__ import annotations

import gc

import pytest

from cmbagent_otel.query.garbage import uncollected


def test_reading_leaves_the_collector_on_also_after_an_error() -> None:
    with pytest.raises(ValueError), uncollected():  # noqa: PT011, PT012
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled()


def test_a_collector_that_the_program_has_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
