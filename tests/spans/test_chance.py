"""Ids are nobody else's: not of the program's random numbers, not of another call, not of a forked child."""

from __future__ import annotations

import multiprocessing
import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from cmbagent_otel.spans.chance import bits, new_uuid


def test_a_uuid_is_one_of_version_4_and_given_once_whatever_thread_asks() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_uuid(), range(10_000)))
    assert len(set(made)) == 10_000
    for text in made[::1000]:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def _number() -> int:
    return bits(64)  # of the process that is asked; a method that is sent there would take its numbers along


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_shares_no_uuid_and_no_number_with_its_parent() -> None:
    new_uuid()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        theirs = pool.apply(new_uuid)
        number = pool.apply(_number)
    assert theirs[:23] != new_uuid()[:23]
    assert number != _number()


def test_the_programs_own_random_numbers_are_left_alone() -> None:
    random.seed(7)
    before = random.getstate()
    new_uuid()
    bits(64)
    assert random.getstate() == before
