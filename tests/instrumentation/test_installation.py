"""Hooks go in once, come out whole, and never harm the program."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import autogen
import pytest
import wrapt
from autogen import ConversableAgent, GroupChat, OpenAIWrapper
from autogen.agentchat.group import group_utils
from autogen.agentchat.group.group_tool_executor import GroupToolExecutor
from autogen.coding import LocalCommandLineCodeExecutor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider

from cmbagent_otel import scope
from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor, message, turn
from cmbagent_otel.instrumentation.points import is_hook
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace

HOOKED = [
    (ConversableAgent, "initiate_chat"),
    (ConversableAgent, "a_initiate_chat"),
    (ConversableAgent, "generate_reply"),
    (ConversableAgent, "a_generate_reply"),
    (ConversableAgent, "execute_function"),
    (ConversableAgent, "get_human_input"),
    (ConversableAgent, "send"),
    (OpenAIWrapper, "create"),
    (GroupChat, "_auto_select_speaker"),
    (GroupToolExecutor, "set_next_target"),
    (LocalCommandLineCodeExecutor, "execute_code_blocks"),
    (group_utils, "determine_next_agent"),
    (autogen, "initiate_chats"),
]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def provider(recorder: Recorder) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(recorder)
    return made


@pytest.fixture
def instrumentor() -> Iterator[AutogenInstrumentor]:
    health.reset()
    made = AutogenInstrumentor()
    yield made
    if made.is_instrumented_by_opentelemetry:
        made.uninstrument()
    scope.reset()


def echo(name: str = "echo", cls: type[ConversableAgent] = ConversableAgent, **options: Any) -> ConversableAgent:
    """An agent that needs no model."""
    given = {"llm_config": False, "human_input_mode": "NEVER", "default_auto_reply": "as you say", **options}
    return cls(name, **given)


def ask(agent: ConversableAgent) -> Any:
    return agent.generate_reply(messages=[{"role": "user", "content": "Hello."}])


def test_first_install_says_installed_and_the_second_already_installed(
    instrumentor: AutogenInstrumentor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="cmbagent_otel"):
        instrumentor.instrument()
        points = health.health().installed["autogen"]
        assert f"AG2 hooks installed successfully ({points} points)" in caplog.text
        caplog.clear()
        instrumentor.instrument()
    assert "AG2 hooks already installed" in caplog.text
    assert health.health().installed["autogen"] == points > 30


@pytest.mark.parametrize(("owner", "name"), HOOKED)
def test_nothing_is_wrapped_twice(instrumentor: AutogenInstrumentor, owner: Any, name: str) -> None:
    original = vars(owner)[name]
    instrumentor.instrument()
    instrumentor.instrument()
    assert is_hook(vars(owner)[name])
    assert vars(owner)[name].__wrapped__ is original


@pytest.mark.parametrize(("owner", "name"), HOOKED)
def test_uninstrument_gives_the_original_back(instrumentor: AutogenInstrumentor, owner: Any, name: str) -> None:
    original = vars(owner)[name]
    instrumentor.instrument()
    instrumentor.uninstrument()
    assert vars(owner)[name] is original
    assert health.health().installed["autogen"] == 0


def test_hooked_functions_look_as_before(instrumentor: AutogenInstrumentor) -> None:
    before = {name: inspect.signature(getattr(ConversableAgent, name)) for _, name in HOOKED[:7]}
    instrumentor.instrument()
    for name, signature in before.items():
        hooked = getattr(ConversableAgent, name)
        assert inspect.signature(hooked) == signature
        assert hooked.__name__ == name
        assert inspect.iscoroutinefunction(hooked) == name.startswith("a_")


def test_install_that_failed_halfway_is_completed_and_wraps_no_wrapper(
    instrumentor: AutogenInstrumentor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("halfway")

    with monkeypatch.context() as patched:
        patched.setattr(instrumentor._newcomers, "catch_up", fail)
        with pytest.raises(RuntimeError, match="halfway"):
            instrumentor.instrument()
    instrumentor.instrument()
    wrapper = vars(ConversableAgent)["generate_reply"]
    assert is_hook(wrapper)
    assert not is_hook(wrapper.__wrapped__)


def test_wrapper_of_somebody_else_stays_and_ours_under_it_passes_through(
    instrumentor: AutogenInstrumentor, provider: TracerProvider, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrumentor.instrument(tracer_provider=provider)
    calls = []

    def theirs(original: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append(instance.name)
        return original(*args, **kwargs)

    ours = vars(ConversableAgent)["generate_reply"]
    monkeypatch.setattr(ConversableAgent, "generate_reply", wrapt.FunctionWrapper(ours, theirs))
    instrumentor.uninstrument()
    assert ask(echo()) == "as you say"
    assert calls == ["echo"]
    assert recorder.begun == []
    instrumentor.instrument(tracer_provider=provider)
    ask(echo())
    assert len(recorder.ended) == 1
    monkeypatch.setattr(ConversableAgent, "generate_reply", ours.__wrapped__)


def test_point_that_a_version_lacks_is_left_out_with_a_debug_line(
    instrumentor: AutogenInstrumentor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(GroupToolExecutor, "set_next_target")
    with caplog.at_level(logging.DEBUG, logger="cmbagent_otel"):
        instrumentor.instrument()
    lines = [record for record in caplog.records if "set_next_target" in record.getMessage()]
    assert [record.levelno for record in lines] == [logging.DEBUG]
    assert any("set_next_target" in point for point in health.health().missing["autogen"])


def test_agent_made_before_is_traced(
    instrumentor: AutogenInstrumentor, provider: TracerProvider, recorder: Recorder
) -> None:
    early = echo("early")
    instrumentor.instrument(tracer_provider=provider)
    assert ask(early) == "as you say"
    assert [span.name for span in recorder.ended] == ["invoke_agent early"]


def test_async_reply_function_that_an_agent_keeps_is_swapped_and_given_back(instrumentor: AutogenInstrumentor) -> None:
    early = echo("early")
    original = vars(ConversableAgent)["a_generate_oai_reply"]
    assert original in [entry["reply_func"] for entry in early._reply_func_list]
    instrumentor.instrument()
    kept = [entry["reply_func"] for entry in early._reply_func_list]
    assert not any(function is original for function in kept)
    instrumentor.uninstrument()
    assert any(entry["reply_func"] is original for entry in early._reply_func_list)


class Shouting(ConversableAgent):
    """Overrides its reply, and calls no super."""

    def generate_reply(self, *args: Any, **kwargs: Any) -> Any:
        return "HELLO"


def test_override_is_traced_on_its_class_once_the_first_instance_is_made(
    instrumentor: AutogenInstrumentor, provider: TracerProvider, recorder: Recorder
) -> None:
    instrumentor.instrument(tracer_provider=provider)
    assert not is_hook(vars(Shouting)["generate_reply"])
    assert ask(echo("shouting", Shouting)) == "HELLO"
    assert [span.name for span in recorder.ended] == ["invoke_agent shouting"]
    instrumentor.uninstrument()
    assert not is_hook(vars(Shouting)["generate_reply"])


def test_override_of_an_agent_made_before_is_traced(
    instrumentor: AutogenInstrumentor, provider: TracerProvider, recorder: Recorder
) -> None:
    early = echo("early", Shouting)
    instrumentor.instrument(tracer_provider=provider)
    assert ask(early) == "HELLO"
    assert [span.name for span in recorder.ended] == ["invoke_agent early"]


def test_suppressed_call_makes_no_span(
    instrumentor: AutogenInstrumentor, provider: TracerProvider, recorder: Recorder
) -> None:
    instrumentor.instrument(tracer_provider=provider)
    with suppress_instrumentation():
        assert ask(echo()) == "as you say"
    assert recorder.begun == []


@pytest.mark.parametrize("place", ["begin", "end"])
def test_fault_of_ours_is_counted_and_the_program_goes_on(
    instrumentor: AutogenInstrumentor,
    provider: TracerProvider,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of ours")

    if place == "begin":
        monkeypatch.setattr(turn, "known", fail)
    else:
        monkeypatch.setattr(message, "record", fail)
    instrumentor.instrument(tracer_provider=provider)
    logging.disable(logging.CRITICAL)
    try:
        assert ask(echo()) == "as you say"
    finally:
        logging.disable(logging.NOTSET)
    assert ask(echo()) == "as you say"
    assert list(health.health().faults.values()) == [2]
    assert recorder.left_open == []


def test_error_of_the_program_comes_through_as_it_is(
    instrumentor: AutogenInstrumentor, recorder: Recorder, provider: TracerProvider
) -> None:
    class OfTheProgramError(Exception):
        pass

    error = OfTheProgramError("no")

    def reply(*_: Any, **__: Any) -> Any:
        raise error

    instrumentor.instrument(tracer_provider=provider)
    agent = echo()
    agent.register_reply([ConversableAgent, None], reply)
    with pytest.raises(OfTheProgramError) as raised:
        ask(agent)
    assert raised.value is error
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert not Trace(recorder.ended).of(NodeKind.AGENT)[0].status.is_ok


def run(program: str, **environment: str) -> str:
    """What a program in a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", **environment},
    )
    return done.stdout.strip()


def test_instrument_imports_no_ag2_and_hooks_it_when_the_program_does() -> None:
    said = run("""
        import sys
        from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
        AutogenInstrumentor().instrument()
        print("autogen" in sys.modules)
        from autogen import ConversableAgent, initiate_chats
        from autogen.agentchat.conversable_agent import initiate_chats as again
        from cmbagent_otel.instrumentation.points import is_hook
        print(*map(is_hook, (ConversableAgent.generate_reply, initiate_chats, again)))
    """)
    assert said.splitlines() == ["False", "True True True"]


def test_executor_that_is_imported_late_is_hooked_then() -> None:
    said = run("""
        import sys, types
        from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
        import autogen
        AutogenInstrumentor().instrument()
        from autogen.coding.jupyter import embedded_ipython_code_executor as late
        from cmbagent_otel.instrumentation.points import is_hook
        print(is_hook(late.EmbeddedIPythonCodeExecutor.execute_code_blocks))
    """)
    assert said == "True"


def test_disabled_sdk_installs_no_wrapper_at_all() -> None:
    said = run(
        """
        from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
        AutogenInstrumentor().instrument()
        from autogen import ConversableAgent, OpenAIWrapper
        from cmbagent_otel.instrumentation.points import is_hook
        print(is_hook(ConversableAgent.generate_reply), is_hook(OpenAIWrapper.create))
        """,
        OTEL_SDK_DISABLED="true",
    )
    assert said == "False False"
