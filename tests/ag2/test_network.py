"""The network of AG2 1.x: agents that hand over to each other are one trace, each under the turn that caused it."""

import asyncio
from typing import Any

import pytest
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import (
    AgentTarget,
    FromSpeaker,
    Handoff,
    Hub,
    HubClient,
    TerminateTarget,
    ToolCalled,
    Transition,
    TransitionGraph,
)
from ag2.network.transport import LocalLink

import cmbagent_otel as otel
from cmbagent_otel import semconv
from cmbagent_otel.semconv import HandoffKind, NodeKind, NodeType
from cmbagent_otel.testing import ScriptedModelServer, by_agent, call_tool, say
from tests.ag2.recorder import Recorder
from tests.ag2.test_ag2 import agent
from tests.scenarios.trace import attribute, lines

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("hooks")]


async def run_workflow(*, one_client: bool) -> tuple[ScriptedModelServer, list[str]]:
    """Who asks -> triage -(its tool says so)-> billing -(a tool that a rule names)-> writer -(a rule)-> editor."""
    script = by_agent(
        {
            "triage": [call_tool("route"), say("To billing.")],
            "billing": [call_tool("ask_writer"), say("It is billed.")],
            "writer": [say("It is written.")],
            "editor": [say("It is printed.")],
        }
    )

    def route() -> Handoff:
        """Choose who goes on."""
        return Handoff(target="billing", reason="it is about money")

    def ask_writer() -> str:
        """Ask the writer."""
        return "asked"

    with ScriptedModelServer(script) as server:
        hub = await Hub.open(MemoryKnowledgeStore())
        shared = HubClient(LocalLink(hub))
        clients = {}
        tools: dict[str, list[Any]] = {"triage": [route], "billing": [ask_writer], "writer": [], "editor": []}
        for name in ("asking", *tools):
            client = shared if one_client else HubClient(LocalLink(hub))
            clients[name] = await client.register(agent(server, name, tools=tools.get(name, [])), attach_plugin=False)
        ids = {name: registered.agent_id for name, registered in clients.items()}
        graph = TransitionGraph(
            initial_speaker=ids["asking"],
            transitions=[
                Transition(when=FromSpeaker(ids["asking"]), then=AgentTarget(ids["triage"])),
                Transition(when=ToolCalled("ask_writer"), then=AgentTarget(ids["writer"])),
                Transition(when=FromSpeaker(ids["writer"]), then=AgentTarget(ids["editor"])),
            ],
            default_target=TerminateTarget("done"),
        )
        knobs: dict[str, object] = {"graph": graph.to_dict()}
        channel = await clients["asking"].open(type="workflow", target=list(tools), knobs=knobs)
        await channel.send("Bill it, write it, print it.")
        for _ in range(500):
            if (await channel.info()).is_terminal():
                break
            await asyncio.sleep(0.02)
        wal = await clients["asking"]._hub_client.read_wal(channel.channel_id)
        for client in {registered._hub_client for registered in clients.values()}:
            await client.close()
        await hub.close()
    return server, [envelope.event_data["body"] for envelope in wal if envelope.event_type == "ag2.packet"]


@pytest.mark.parametrize("one_client", [True, False], ids=["one client", "a client each"])
async def test_workflow_channel_is_one_trace_and_each_turn_hangs_under_the_one_before(
    recorder: Recorder, one_client: bool
) -> None:
    server, said = await run_workflow(one_client=one_client)
    assert said == ["To billing.", "It is billed.", "It is written.", "It is printed."]
    trace = recorder.trace
    assert trace.outline() == lines("""
        invoke_agent triage
          chat gpt-4o-mini
          execute_tool route
          chat gpt-4o-mini
          invoke_agent billing
            chat gpt-4o-mini
            execute_tool ask_writer
            chat gpt-4o-mini
            invoke_agent writer
              chat gpt-4o-mini
              invoke_agent editor
                chat gpt-4o-mini
    """)
    assert trace.tokens == server.billed
    assert trace.handoffs == [
        ("triage", "billing", HandoffKind.REPLY_RESULT),
        ("billing", "writer", HandoffKind.LLM_CONDITION),
        ("writer", "editor", HandoffKind.TARGET),
    ]
    assert [sender for sender, recipient in trace.messages if recipient is None] == [
        "triage",
        "billing",
        "writer",
        "editor",
    ]


async def test_workflow_channel_within_a_workflow_begins_under_it(recorder: Recorder) -> None:
    with otel.workflow("bills"):
        await run_workflow(one_client=False)
    trace = recorder.trace
    assert len(trace.traces) == 1
    assert trace.parent_of(trace.named("invoke_agent triage")) == "invoke_workflow bills"
    types = [attribute(span, semconv.NODE_TYPE) for span in trace.of(NodeKind.AGENT)]
    assert types == [NodeType.AGENT, *[NodeType.SUB_AGENT] * 3]
