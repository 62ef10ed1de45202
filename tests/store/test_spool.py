from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from cmbagent_otel.spans.record import Heartbeat, Record, SpanEvent, SpanLink, SpanRecord
from cmbagent_otel.store.spool import Spool, decode, encode
from tests.store.spans import TRACE, span

MEGABYTE = 1_000_000


class Remembering:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, records: Sequence[Record]) -> None:
        self.records.extend(records)


class Refusing:
    def write(self, records: Sequence[Record]) -> None:
        raise ConnectionError


def test_a_record_comes_back_as_it_went() -> None:
    whole = span(1)._replace(
        attributes={"text": "ä\0", "list": (1, "two"), "nothing": None},
        events=(SpanEvent("said", 5, {"what": "it"}),),
        links=(SpanLink(TRACE, "00000000000000ff", {}),),
    )
    assert decode(encode(whole)) == whole._replace(attributes={**whole.attributes, "text": "ä\ufffd"})
    heartbeat = Heartbeat(("a", "b"), "me", 7)
    assert decode(encode(heartbeat)) == heartbeat


@pytest.mark.parametrize("line", [b"", b"[", b'["span", 1', b"5", b'["span"]', b'["heartbeat"]', b'["span", 1, 2, 3]'])
def test_a_line_that_is_none_is_passed_by(line: bytes) -> None:
    assert decode(line) is None


def test_what_waits_is_written_once_and_then_gone(tmp_path: Path) -> None:
    spool, writer = Spool(tmp_path, MEGABYTE), Remembering()
    assert spool.append([span(1), span(2)]) == 0
    assert spool.replay(writer) == 2
    assert writer.records == [span(1), span(2)]
    assert spool.replay(writer) == 0
    assert spool.waiting() == (0, 0)


def test_what_the_writer_refuses_stays(tmp_path: Path) -> None:
    spool, writer = Spool(tmp_path, MEGABYTE), Remembering()
    spool.append([span(1)])
    with pytest.raises(ConnectionError):
        spool.replay(Refusing())
    spool.append([span(2)])
    spool.replay(writer)
    assert sorted(record.name for record in writer.records if isinstance(record, SpanRecord)) == ["llm 1", "llm 2"]


def test_a_full_spool_drops_start_records_first_and_then_the_newest(tmp_path: Path) -> None:
    ended = [span(number) for number in range(10)]
    room = sum(len(encode(record)) for record in ended[:6]) + 10
    spool, writer = Spool(tmp_path, room), Remembering()
    assert spool.append([span(50, ended=False), *ended]) == 5
    spool.replay(writer)
    assert writer.records == ended[:6]
    assert spool.lost() == 5


def test_the_bound_is_that_of_all_processes_together(tmp_path: Path) -> None:
    one, another = Spool(tmp_path, 600), Spool(tmp_path, 600)
    assert one.append([span(1)]) == 0
    assert another.append([span(2), span(3)]) > 0
    one.close()
    another.close()


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living, other, writer = Spool(tmp_path, MEGABYTE), Spool(tmp_path, MEGABYTE), Remembering()
    living.append([span(1)])
    assert other.replay(writer) == 0
    living.close()
    assert other.replay(writer) == 1


def test_a_killed_process_leaves_its_records_to_the_next(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from cmbagent_otel.store.spool import Spool
        from tests.store.spans import span
        spool = Spool(Path({str(tmp_path)!r}), 1_000_000)
        spool.append([span(1)])
        print("ready", flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    writer = Remembering()
    assert Spool(tmp_path, MEGABYTE).replay(writer) == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert Spool(tmp_path, MEGABYTE).replay(writer) == 1
    assert writer.records == [span(1)]


def test_a_line_cut_off_by_the_end_of_its_process_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "1-dead.spool").write_bytes(encode(span(1)) + encode(span(2))[:40])
    writer = Remembering()
    assert Spool(tmp_path, MEGABYTE).replay(writer) == 1


def test_a_forked_child_writes_to_a_file_of_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MEGABYTE)
    spool.append([span(1)])
    child = os.fork()
    if child == 0:
        spool.forget()
        spool.append([span(2)])
        os._exit(0)
    os.waitpid(child, 0)
    writer = Remembering()
    assert spool.replay(writer) == 2
    assert sorted(record.name for record in writer.records if isinstance(record, SpanRecord)) == ["llm 1", "llm 2"]


def test_a_folder_that_cannot_be_written_to_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        Spool(tmp_path / "file", MEGABYTE).append([span(1)])
