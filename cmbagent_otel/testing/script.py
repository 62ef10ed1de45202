"""What a scripted model says: replies, and the scripts that choose among them.

A script is a function from a :class:`ModelRequest` to a :class:`Reply`. :func:`in_order` and
:func:`by_agent` make the usual ones.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias


class Usage(NamedTuple):
    """Tokens as a vendor bills them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of ``input_tokens`` that came from the vendor's cache."""

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class ToolCall(NamedTuple):
    """A model's wish to call a tool."""

    name: str
    arguments: str
    """JSON, or whatever a careless model would send."""
    call_id: str | None = None
    """None: the server numbers it, ``call_<request>_<n>``."""


@dataclass(frozen=True)
class Reply:
    """One answer of the model: text, tool calls, or an error."""

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    """None: ``stop``, or ``tool_calls`` where there are some."""
    cached_tokens: int = 0
    seconds: float = 0.0
    """How long the model thinks before it answers."""
    status: int = 200
    """The HTTP status; anything but 200 is an error, and bills nothing."""
    retry_after: float | None = None
    """Seconds, sent with an error, so that the client's own retries do not make a test slow."""


def say(text: str, *, finish_reason: str | None = None, cached_tokens: int = 0, seconds: float = 0.0) -> Reply:
    """Answer with a text."""
    return Reply(text=text, finish_reason=finish_reason, cached_tokens=cached_tokens, seconds=seconds)


def call_tool(
    name: str, arguments: Mapping[str, Any] | str | None = None, *, text: str | None = None, call_id: str | None = None
) -> Reply:
    """Ask for one tool call; ``arguments`` given as a string are sent as they are, valid JSON or not."""
    return call_tools(ToolCall(name, _as_json(arguments), call_id), text=text)


def call_tools(*calls: ToolCall | tuple[str, Mapping[str, Any] | str], text: str | None = None) -> Reply:
    """Ask for several tool calls in one answer."""
    made = (call if isinstance(call, ToolCall) else ToolCall(call[0], _as_json(call[1])) for call in calls)
    return Reply(text=text, tool_calls=tuple(made))


def fail(status: int = 500, message: str = "scripted failure", *, retry_after: float = 0.001) -> Reply:
    """Answer with an HTTP error, such as 429 or 500; put the reply of the client's retry behind it."""
    return Reply(text=message, status=status, retry_after=retry_after)


def _as_json(arguments: Mapping[str, Any] | str | None) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {})


@dataclass(frozen=True)
class ModelRequest:
    """A request as the server got it."""

    number: int
    """Counted from 1."""
    api: str
    """``chat`` for chat completions, ``responses`` for the responses API."""
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model", ""))

    @property
    def streamed(self) -> bool:
        """Whether the answer is to come in pieces."""
        return bool(self.body.get("stream"))

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation as sent, the system prompt included."""
        if self.api == "chat":
            messages: Sequence[Mapping[str, Any]] = self.body.get("messages") or ()
            return messages
        given = self.body.get("input") or ()
        items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        instructions = self.body.get("instructions")
        return [{"role": "system", "content": instructions}, *items] if instructions else items

    @property
    def system_prompt(self) -> str:
        """The first system (or developer) message: who is asking."""
        for message in self.messages:
            if message.get("role") in ("system", "developer"):
                return text_of(message)
        return ""

    @property
    def last_message(self) -> str:
        """The text of the last message."""
        return text_of(self.messages[-1]) if self.messages else ""

    @property
    def tools(self) -> list[str]:
        """Names of the tools on offer."""
        return [(tool.get("function") or tool).get("name", "") for tool in self.body.get("tools") or ()]


Script: TypeAlias = Callable[[ModelRequest], Reply]


class ScriptError(Exception):
    """The script has no reply for a request; the model server answers 400 with the message."""


def in_order(replies: Iterable[Reply]) -> Script:
    """Give these replies one after the other; asking for one more is a :class:`ScriptError`."""
    remaining = iter(replies)
    lock = threading.Lock()

    def script(request: ModelRequest) -> Reply:
        with lock:
            reply = next(remaining, None)
        if reply is None:
            message = f"request {request.number} has no reply left; it ended with: {request.last_message[-200:]!r}"
            raise ScriptError(message)
        return reply

    return script


def by_agent(scripts: Mapping[str, Script | Iterable[Reply]]) -> Script:
    """Choose by who asks: the first key that stands as a word in the first line of the system prompt.

    Each agent has a script of its own, so the outcome does not depend on the order in which agents ask.
    """
    chosen = {name: as_script(script) for name, script in scripts.items()}

    def script(request: ModelRequest) -> Reply:
        first_line = request.system_prompt.strip().partition("\n")[0]
        for name, of_agent in chosen.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", first_line):
                return of_agent(request)
        message = f"request {request.number} is of none of {sorted(chosen)}; its system prompt begins: {first_line!r}"
        raise ScriptError(message)

    return script


def as_script(script: Script | Iterable[Reply]) -> Script:
    """A function as it is, replies in order."""
    return script if callable(script) else in_order(script)


def text_of(message: Mapping[str, Any]) -> str:
    """The text in a message, whatever form its content has."""
    content = message.get("content", message.get("output"))
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or () if isinstance(part, Mapping))


def count_tokens(text: str) -> int:
    """The scripted model's own measure: a token is four bytes of UTF-8, or what is left of them."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def usage_of(request: ModelRequest, reply: Reply) -> Usage:
    """What one answer is billed: texts, tool calls and their arguments, plus three tokens a message."""
    if reply.status != 200:
        return Usage()
    asked = sum(3 + count_tokens(text_of(message)) + _tokens_of_calls(message) for message in request.messages)
    said = count_tokens(reply.text or "") + sum(
        count_tokens(call.name) + count_tokens(call.arguments) for call in reply.tool_calls
    )
    return Usage(asked, max(said, 1), min(reply.cached_tokens, asked))


def _tokens_of_calls(message: Mapping[str, Any]) -> int:
    functions = [call.get("function") or {} for call in message.get("tool_calls") or ()] or [message]
    return sum(count_tokens(str(f.get("arguments") or "")) for f in functions)
