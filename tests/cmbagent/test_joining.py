"""One run in several processes and on several days: which run, session and links a workflow gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanContext

import cmbagent_otel as otel
from cmbagent_otel import composition, destination, resumption, scope, semconv, tracing
from cmbagent_otel.resumption import Attempted, Left
from cmbagent_otel.scope import id_of
from cmbagent_otel.spans.ids import SystemRandomIdGenerator
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute

SPAN = SpanContext(0x1234, 0x56, is_remote=True)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    provider = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    provider.add_span_processor(recorder)
    destination.use_provider(provider)
    yield recorder
    scope.reset()
    tracing.set_defaults(max_redos=2, run_id=None, session_id=None)


@pytest.mark.usefixtures("kept_runs")
def test_workflow_of_a_known_run_joins_it_and_links_to_its_last_root(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with otel.workflow("study", session_id="lab") as first:
        pass
    with otel.workflow("study", run_id=first.run_id) as second:
        pass
    with otel.workflow("study", run_id=first.run_id):
        pass
    one, two, three = roots(recorder)
    assert (second.run_id, second.session_id) == (first.run_id, "lab")
    assert {attribute(span, semconv.RUN_ID) for span in (one, two, three)} == {first.run_id}
    assert {attribute(span, semconv.SESSION_ID) for span in (one, two, three)} == {"lab"}
    assert [
        [(link.context.span_id, dict(link.attributes or {})) for link in span.links] for span in (one, two, three)
    ] == [
        [],
        [(one.context.span_id, {semconv.LINK_KIND: semconv.LINK_RESUMES})],
        [(two.context.span_id, {semconv.LINK_KIND: semconv.LINK_RESUMES})],
    ]
    assert caplog.text.count(f"joined run {first.run_id}") == 2


@pytest.mark.usefixtures("kept_runs")
def test_run_that_this_machine_does_not_know_is_named_without_a_link(recorder: Recorder) -> None:
    with otel.workflow("study", run_id="from-elsewhere"):
        pass
    (root,) = roots(recorder)
    assert attribute(root, semconv.RUN_ID) == "from-elsewhere"
    assert root.links == ()


@pytest.mark.usefixtures("kept_runs")
def test_run_of_the_environment_is_joined(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tracing.set_defaults(max_redos=2, run_id="run-7", session_id="lab")
    with otel.workflow("study"):
        pass
    (root,) = roots(recorder)
    assert (attribute(root, semconv.RUN_ID), attribute(root, semconv.SESSION_ID)) == ("run-7", "lab")
    assert "joined run run-7" in caplog.text


@pytest.mark.usefixtures("kept_runs")
def test_workflow_within_a_workflow_is_a_part_of_its_run(recorder: Recorder) -> None:
    with otel.workflow("study", session_id="lab") as outer, otel.workflow("one_shot", session_id="other") as inner:
        pass
    assert (inner.run_id, inner.session_id) == (outer.run_id, "lab")
    trace = Trace(recorder.ended)
    assert len(trace.roots) == 1
    assert [attribute(span, semconv.SESSION_ID) for span in trace.spans] == ["lab", None]


@pytest.mark.usefixtures("kept_runs")
def test_child_of_a_run_gets_its_run_and_session_in_the_environment(recorder: Recorder) -> None:
    with otel.workflow("study", session_id="lab") as study:
        environment = otel.child_env()
    (root,) = roots(recorder)
    assert environment["CMBAGENT_OTEL_RUN_ID"] == study.run_id
    assert environment["CMBAGENT_OTEL_SESSION_ID"] == "lab"
    assert f"{root.context.span_id:016x}" in environment["TRACEPARENT"]


def test_implicit_workflow_goes_on_with_the_run_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_RUN_ID", "run-7")
    monkeypatch.setenv("CMBAGENT_OTEL_SESSION_ID", "lab")
    monkeypatch.setenv("CMBAGENT_OTEL_DATABASE_URL", f"sqlite:///{tmp_path / 'runs.db'}")
    assert composition.configure(workflow="my_task")
    with otel.agent("engineer"):
        assert otel.child_env()["CMBAGENT_OTEL_RUN_ID"] == "run-7"
        assert otel.child_env()["CMBAGENT_OTEL_SESSION_ID"] == "lab"


def test_with_no_folder_nothing_is_kept_or_found(recorder: Recorder) -> None:
    resumption.configure(None)
    with otel.workflow("study", run_id="run-7"):
        pass
    assert recorder.ended
    assert resumption.find("run-7") is None


# -- what is kept ------------------------------------------------------------------------------------------


def test_what_is_left_is_found_by_run_and_by_folder(kept_runs: Path, tmp_path: Path) -> None:
    left = Left("run-7", "lab", SPAN, (Attempted(2, 1, "node", SPAN),))
    resumption.leave(left)
    resumption.worked_in(str(tmp_path / "out" / ".." / "out"), "run-7")
    found = resumption.find_in(str(tmp_path / "out"))
    assert found is not None
    assert found == resumption.find("run-7")
    assert (found.run_id, found.session_id, id_of(found.root)) == ("run-7", "lab", id_of(left.root))
    assert [(one.number, one.attempt, one.source) for one in found.attempts] == [(2, 1, "node")]
    assert len(list(kept_runs.iterdir())) == 2


def test_later_attempt_takes_the_place_of_the_earlier(kept_runs: Path) -> None:
    del kept_runs
    resumption.leave(Left("run-7", None, SPAN))
    for attempt in (1, 2):
        resumption.attempted("run-7", Attempted(2, attempt, "node", SPAN))
    found = resumption.find("run-7")
    assert found is not None
    assert [one.attempt for one in found.attempts] == [2]


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"run_id": 1}', '{"run_id": "a", "session_id": null, "root": "x"}'])
def test_file_that_cannot_be_read_is_as_if_it_were_not_there(kept_runs: Path, kept: str) -> None:
    resumption.leave(Left("run-7", None, SPAN))
    (path,) = kept_runs.iterdir()
    path.write_text(kept)
    assert resumption.find("run-7") is None
    resumption.leave(Left("run-7", None, SPAN))
    assert resumption.find("run-7") is not None


def test_folder_that_cannot_be_written_stops_no_workflow(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    resumption.configure(tmp_path / "file" / "runs")
    with otel.workflow("study"):
        pass
    resumption.configure(None)
    assert len(recorder.ended) == 1


def test_oldest_files_go(kept_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "_KEPT", 3)
    for number in range(5):
        resumption.leave(Left(f"run-{number}", None, SPAN))
    assert len(list(kept_runs.iterdir())) == 3
    assert resumption.find("run-4") is not None


def test_only_ids_are_kept(recorder: Recorder, kept_runs: Path) -> None:
    with otel.workflow("study", task="a secret task"):
        pass
    assert recorder.ended
    (path,) = kept_runs.iterdir()
    assert set(json.loads(path.read_text())) == {"run_id", "session_id", "root", "attempts"}


def roots(recorder: Recorder) -> list[ReadableSpan]:
    return Trace(recorder.ended).roots
