"""Code execution: what an executor runs, and AG2's older way without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.trace import Status, StatusCode

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.autogen.kinds import name_of
from cmbagent_otel.instrumentation.autogen.neighbours import CODE, has_recorded
from cmbagent_otel.instrumentation.autogen.state import Chat, ChatCall, call_of, is_own_super
from cmbagent_otel.instrumentation.autogen.turn import TurnCall
from cmbagent_otel.instrumentation.files import Folder, look
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import NodeKind, NodeType, Operation

_NONZERO = "nonzero_exit_code"
_TIMEOUT = "timeout"
_TIMEOUT_CODE = 124
"""What AG2's executors, and ``timeout`` of coreutils, answer for code that was stopped."""
_TIMEOUT_WORDS = "Timeout"
"""All that AG2's older way says of it."""
_JUPYTER_TIMEOUT = re.compile(r"(?:ERROR: )+Timeout waiting for output from code block\b")
"""What AG2's executors with a kernel say of it."""


class CodeCall(ChatCall):
    """Blocks of code run."""

    __slots__ = ("folder",)

    def __init__(self, node: Node, executor: Any, chat: Chat | None) -> None:
        super().__init__(node, executor, chat)
        self.folder: Folder | None = look(node.span, _work_dir(executor))

    def returned(self, result: Any) -> None:
        """Exit code and output; anything but 0 is an error."""
        exit_code, output = (result[0], result[1]) if isinstance(result, tuple) else (result.exit_code, result.output)
        span = self.node.span
        span.set_attribute(semconv.PROCESS_EXIT_CODE, exit_code)
        if exit_code != 0:
            stopped = exit_code == _TIMEOUT_CODE or _says_timeout(str(output))
            if stopped:
                span.set_attribute(semconv.CODE_TIMEOUT, True)  # noqa: FBT003 - an attribute's value
            span.set_attribute(semconv.ERROR_TYPE, _TIMEOUT if stopped else _NONZERO)
            span.set_status(Status(StatusCode.ERROR))
        if content.is_recorded():
            content.capture(span, semconv.CODE_OUTPUT, str(output))
        if self.folder is not None:
            self.folder.state(span)


def _says_timeout(output: str) -> bool:
    return output.strip() == _TIMEOUT_WORDS or _JUPYTER_TIMEOUT.match(output) is not None


def begin_code(
    original: Callable[..., Any], executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> CodeCall | None:
    """``execute_code_blocks`` of an executor, or of an agent without one."""
    context, scope = scopes.enclosing()
    if is_own_super(scope, NodeKind.CODE, executor) or has_recorded(context, CODE):
        return None
    around = call_of(scope)
    blocks = [_block(block) for block in (args[0] if args else kwargs["code_blocks"])]
    agent = _agent(scope, executor)
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: Operation.EXECUTE_CODE,
        semconv.CODE_BLOCKS: len(blocks),
    }
    languages = dict.fromkeys(language.lower() for language, _ in blocks if language)
    if languages:
        attributes[semconv.CODE_LANGUAGE] = ", ".join(languages)[:64]
    if agent is not None:
        attributes[semconv.AGENT_NAME] = agent
    node = scopes.start(
        f"{Operation.EXECUTE_CODE} {agent}" if agent else Operation.EXECUTE_CODE,
        NodeType.CODE_EXEC,
        NodeKind.CODE,
        attributes,
    )
    call = CodeCall(node, executor, around.chat if around is not None else None)
    if content.is_recorded():
        content.capture(node.span, semconv.CODE_SOURCE, _source(blocks))
    node.attach()
    return call


def _work_dir(executor: Any) -> Any:
    """The folder that the code runs in: of an executor, or of an agent without one, where it is set."""
    for name in ("work_dir", "output_dir", "_output_dir"):  # by command line; in a kernel of its own; by a server
        found = getattr(executor, name, None)
        if found is not None:
            break
    else:
        config = getattr(executor, "_code_execution_config", None)
        found = config.get("work_dir") if isinstance(config, dict) else None
    return found


def _block(block: Any) -> tuple[str, str]:
    if isinstance(block, Sequence):
        language, code = block
    else:
        language, code = block.language, block.code
    return str(language or ""), str(code)


def _source(blocks: Sequence[tuple[str, str]]) -> str:
    if len(blocks) == 1:
        return blocks[0][1]
    return "\n\n".join(f"# {language}\n{code}" for language, code in blocks)


def _agent(scope: Scope | None, executor: Any) -> str | None:
    around = call_of(scope)
    if isinstance(around, TurnCall):
        return name_of(around.instance)
    name = getattr(executor, "name", None)
    return name if isinstance(name, str) else None
