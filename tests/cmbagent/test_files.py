"""The files of a code execution: which are told of, and what of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN

from cmbagent_otel import semconv
from cmbagent_otel.graph.mapping import map_span
from cmbagent_otel.instrumentation import files
from cmbagent_otel.instrumentation.files import Folder, look, type_of
from cmbagent_otel.semconv import EventType, NodeKind
from cmbagent_otel.spans.record import SpanRecord


def test_new_and_changed_files_are_told_and_untouched_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("1")
    (tmp_path / "kept.csv").write_text("2")
    folder = Folder(tmp_path)
    (tmp_path / "old.csv").write_text("1, 2")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "map.png").write_bytes(b"\x89PNG")
    assert folder.changed() == [
        {
            "path": str(tmp_path / "data" / "map.png"),
            "type": "plot",
            "size": 4,
            "sha256": hashlib.sha256(b"\x89PNG").hexdigest(),
        },
        {"path": str(tmp_path / "old.csv"), "type": "data", "size": 4, "sha256": hashlib.sha256(b"1, 2").hexdigest()},
    ]


def test_file_rewritten_with_as_many_bytes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    folder = Folder(tmp_path)
    path.write_text("two")
    assert [file["path"] for file in folder.changed()] == [str(path)]


def test_folder_made_by_the_code_is_looked_into(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "fit.py").write_text("pass")
    assert [file["type"] for file in folder.changed()] == ["code"]


def test_caches_hidden_folders_and_links_are_not_output(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in ("__pycache__", ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.py").write_text("pass")
    (tmp_path / "link.py").symlink_to(tmp_path / "__pycache__" / "file.py")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert folder.changed() == []


def test_folder_with_too_many_files_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_ENTRIES", 3)
    folder = Folder(tmp_path)
    for number in range(5):
        (tmp_path / f"{number}.csv").touch()
    assert folder.changed() == []


def test_big_file_is_told_without_a_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_BYTES", 10)
    folder = Folder(tmp_path)
    (tmp_path / "a.npy").write_bytes(b"x" * 11)
    (tmp_path / "b.npy").write_bytes(b"x" * 10)
    big, small = folder.changed()
    assert "sha256" not in big
    assert "sha256" in small


def test_span_that_is_not_recorded_costs_no_look(tmp_path: Path) -> None:
    assert look(INVALID_SPAN, tmp_path) is None


@pytest.mark.parametrize("path", [None, 3, ""])
def test_executor_without_a_folder_costs_no_look(path: object) -> None:
    span = TracerProvider().get_tracer("test").start_span("execute_code")
    assert look(span, path) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run.py", "code"),
        ("MAP.PNG", "plot"),
        ("x.fits", "data"),
        ("notes.md", "report"),
        ("a.log", "log"),
        ("a", "other"),
    ],
)
def test_type_is_known_by_the_name(name: str, expected: str) -> None:
    assert type_of(name) == expected


def test_each_file_is_a_row_and_an_event_of_its_code_execution() -> None:
    listed = [
        {"path": "/d/a.csv", "type": "data", "size": 4, "sha256": "ab"},
        {"path": "/d/b", "type": "other", "size": 0},
    ]
    span = SpanRecord(
        trace_id="1" * 32,
        span_id="2" * 16,
        parent_span_id=None,
        name="execute_code executor",
        kind="INTERNAL",
        status="UNSET",
        status_message="",
        start_time_unix_nano=1,
        end_time_unix_nano=9,
        attributes={
            semconv.NODE_TYPE: NodeKind.CODE,
            semconv.NODE_KIND: NodeKind.CODE,
            semconv.AGENT_NAME: "executor",
            semconv.CODE_FILES: [json.dumps(file) for file in listed],
        },
    )
    graph = map_span(span)
    assert [(file.file_path, file.file_type, file.size_bytes, file.content_hash) for file in graph.files] == [
        ("/d/a.csv", "data", 4, "ab"),
        ("/d/b", "other", 0, None),
    ]
    events = [event for event in graph.events if event.event_type == EventType.FILE_GEN]
    assert [event.id for event in events] == [file.event_id for file in graph.files]
    assert [event.inputs for event in events] == [
        {"file_path": "/d/a.csv", "file_type": "data"},
        {"file_path": "/d/b", "file_type": "other"},
    ]
    assert len({event.id for event in graph.events}) == 3
    assert map_span(span) == graph
