"""The vocabulary: attribute keys, node, edge and event types, link kinds.

This module imports nothing, and no other module spells ``gen_ai.*`` or ``cmbagent.*``. Keys of the
OpenTelemetry GenAI conventions are written out because the conventions moved between packages
(state of 2026-11-22, all in development); ``tests/test_semconv.py`` compares them with
``opentelemetry.semconv``. Keys for which the conventions have no word are ours, under ``cmbagent.``.
"""

from __future__ import annotations

SCOPE_NAME = "cmbagent_otel"
"""Instrumentation scope of the spans that our own API makes; the hooks' scopes begin with it too."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"

# -- OpenTelemetry, general --------------------------------------------------------------------------
ERROR_TYPE = "error.type"
INTERRUPTED = "interrupted"
"""Value of ``error.type``: cut off, so that nobody knows how it would have ended."""
EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
PROCESS_EXIT_CODE = "process.exit.code"
HTTP_STATUS_CODE = "http.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SERVICE_NAME = "service.name"
SERVICE_INSTANCE_ID = "service.instance.id"

# -- OpenTelemetry GenAI -----------------------------------------------------------------------------
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
AGENT_NAME = "gen_ai.agent.name"
AGENT_DESCRIPTION = "gen_ai.agent.description"
WORKFLOW_NAME = "gen_ai.workflow.name"
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_DESCRIPTION = "gen_ai.tool.description"
TOOL_CALL_ID = "gen_ai.tool.call.id"
# content, behind the gate
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

METRIC_OPERATION_DURATION = "gen_ai.client.operation.duration"
METRIC_TOKEN_USAGE = "gen_ai.client.token.usage"

CONTENT_GATE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class Operation:
    """Values of ``gen_ai.operation.name``; the last two are AG2's own words, not yet conventions."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    GENERATE_CONTENT = "generate_content"
    TEXT_COMPLETION = "text_completion"
    INVOKE_WORKFLOW = "invoke_workflow"
    INVOKE_AGENT = "invoke_agent"
    CREATE_AGENT = "create_agent"
    EXECUTE_TOOL = "execute_tool"
    EXECUTE_CODE = "execute_code"
    AWAIT_HUMAN_INPUT = "await_human_input"


# -- cmbagent: where a span stands -------------------------------------------------------------------
NODE_TYPE = "cmbagent.node.type"
"""What becomes ``dag_nodes.node_type``: a :class:`NodeType`, or the phase's type for a phase."""
NODE_KIND = "cmbagent.node.kind"
"""A :class:`NodeKind`: what the node is, whatever the phase is called."""
RUN_ID = "cmbagent.run.id"
"""The run that the span belongs to, in every process and trace of it."""
SESSION_ID = "cmbagent.session.id"
"""What holds runs together; the run's id where none is given."""
WORKFLOW_TASK = "cmbagent.workflow.task"
"""On a workflow: the task, as the program gave it."""
PHASE_TYPE = "cmbagent.phase.type"
"""On a phase: ``planning``, ``control``, or the program's own word."""
STEP_NUMBER = "cmbagent.step.number"
"""Of the plan, as the program counts."""
STEP_GOAL = "cmbagent.step.goal"
"""What the step is to reach, as the program gave it."""
STEP_ATTEMPT = "cmbagent.step.attempt"
"""Counted from 1: the step itself is attempt 1, its first redo attempt 2."""
STEP_SUMMARY = "cmbagent.step.summary"
"""What came of the step, as the program said it."""
STEP_STATUS = "cmbagent.step.status"
"""The last word of whoever watches over the steps, in its own words."""
PLAN_STEPS = "cmbagent.plan.steps"
"""On a phase: the number of steps of its plan."""
ABANDONED = "cmbagent.abandoned"
"""On a span that came to nothing and never ends; nobody is told of its start."""

# -- cmbagent: redo ----------------------------------------------------------------------------------
REDO_NUMBER = "cmbagent.redo.number"
"""Counted from 1."""
REDO_BRANCH_NAME = "cmbagent.redo.branch_name"
"""``redo_<n>``, n counted from 1."""
REDO_HYPOTHESIS = "cmbagent.redo.hypothesis"
"""What the new attempt is to try, as the program gave it."""
REDO_REASON = "cmbagent.redo.reason"
"""A :class:`RedoReason`."""
REDO_SOURCE = "cmbagent.redo.source"
"""Node id of the first attempt."""
REDO_OVER_LIMIT = "cmbagent.redo.over_limit"
"""True on a redo past the limit that nobody set: recorded, not refused."""

LINK_KIND = "cmbagent.link.kind"
"""On a link: one of the two below."""
LINK_REDO_OF = "redo_of"
"""On a redo, to the previous attempt."""
LINK_RESUMES = "resumes"
"""On the root of a later trace of a run, to the root of the one before."""

# -- cmbagent: lineage, always stated backward by the later span, at its creation ---------------------
DAG_DEPENDS_ON = "cmbagent.dag.depends_on"
"""Node ids of the siblings that this span follows: finished, not superseded."""
DAG_DEPENDENCY_TYPE = "cmbagent.dag.dependency_type"
"""An :class:`EdgeType`: of the edges to this span."""
HANDOFF_FROM = "cmbagent.handoff.from"
"""On an agent turn: node id of the turn that handed over to it."""
HANDOFF_KIND = "cmbagent.handoff.kind"
"""A :class:`HandoffKind`."""

# -- cmbagent: what AG2 shows that the conventions have no word for ------------------------------------
AGENT_ROLE = "cmbagent.agent.role"
"""``user`` for an agent that speaks for a person, else ``assistant``."""
AGENT_ACTION = "cmbagent.agent.action"
"""What a managed agent was called for, in the program's words."""
CHAT_NAME = "cmbagent.chat.name"
"""Of a group or nested chat."""
CHAT_MANAGER = "cmbagent.chat.manager"
"""The agent that leads a group chat."""
SPEAKER_SELECTED = "cmbagent.speaker.selected"
"""Who was chosen to speak next."""
SPEAKER_METHOD = "cmbagent.speaker.method"
"""How the next speaker is chosen: ``auto``, ``round_robin``, ..."""
TOOL_CALLER = "cmbagent.tool.caller"
"""The agent that asked for the tool."""
TOOL_EXECUTOR = "cmbagent.tool.executor"
"""The agent that ran it for the one that asked."""
LLM_CACHED = "cmbagent.llm.cached"
"""True where AG2 answered from its cache: no call was made, nothing was paid."""
LLM_ATTEMPTS = "cmbagent.llm.attempts"
"""How often the model was asked until it answered, where more than once."""
CODE_LANGUAGE = "cmbagent.code.language"
"""Of its blocks, each once."""
CODE_BLOCKS = "cmbagent.code.blocks"
"""How many blocks were run."""
CODE_TIMEOUT = "cmbagent.code.timeout"
"""True where the code was ended because it took too long."""
CODE_FILES = "cmbagent.code.files"
"""Files that the code wrote or changed: for each, JSON of its path, type, size and hash."""
# content, behind the gate
CODE_SOURCE = "cmbagent.code.source"
"""What was run."""
CODE_OUTPUT = "cmbagent.code.output"
"""What it printed."""
HUMAN_PROMPT = "cmbagent.human.prompt"
"""What a person was asked."""
HUMAN_RESPONSE = "cmbagent.human.response"
"""What they answered."""
ERROR_MESSAGE = "cmbagent.error.message"
"""The words of an error; its type is in ``error.type``."""

# -- cmbagent: span events -----------------------------------------------------------------------------
MESSAGE_EVENT = "cmbagent.message"
"""An agent said something: once, on the turn that said it."""
HANDOFF_EVENT = "cmbagent.handoff"
"""An agent handed over to another."""
EVENT_ID = "cmbagent.event.id"
"""UUID given at emission, so that a second delivery is known as one."""
MESSAGE_SENDER = "cmbagent.message.sender"
"""Who said it."""
MESSAGE_RECIPIENT = "cmbagent.message.recipient"
"""To whom."""
MESSAGE_ROLE = "cmbagent.message.role"
"""``user``, ``assistant``, ``tool`` or ``function``."""
MESSAGE_CONTENT = "cmbagent.message.content"
"""What was said."""
HANDOFF_SOURCE_AGENT = "cmbagent.handoff.source_agent"
"""Who handed over."""
HANDOFF_TARGET_AGENT = "cmbagent.handoff.target_agent"
"""Who goes on."""

LLM_INNER = "cmbagent.llm.inner"
"""True on a span of another tracer within a model call of ours: what it tells of that call is not counted again."""
LLM_ATTEMPT_EVENT = "cmbagent.llm.attempt"
"""On a model call: an attempt that failed, so that the vendor's client, or AG2, tried again."""
LLM_ATTEMPT_NUMBER = "cmbagent.llm.attempt.number"
"""Counted from 1."""

# -- cmbagent: log records (start records and heartbeats on the OTLP leg) -------------------------------
LOG_SPAN_START = "cmbagent.span.start"
"""Event name of a record that tells of a span that has begun."""
LOG_HEARTBEAT = "cmbagent.heartbeat"
"""Event name of a record by which a process says that it is alive."""
SPAN_NAME = "cmbagent.span.name"
"""On a start record: the span's name."""
SPAN_KIND = "cmbagent.span.kind"
"""On a start record: the span's kind."""
SPAN_PARENT_ID = "cmbagent.span.parent_id"
"""On a start record: the span id of its parent."""
SPAN_PARENT_IS_REMOTE = "cmbagent.span.parent_is_remote"
"""On a start record: whether its parent is in another process."""
SPAN_LINKS = "cmbagent.span.links"
"""On a start record: maps of ``trace_id``, ``span_id`` and ``attributes``."""
RUN_IDS = "cmbagent.run.ids"
"""On a heartbeat: the runs whose owner is alive."""

# -- words of others, for graph/dialects.py ---------------------------------------------------------------
DEPRECATED_SYSTEM = "gen_ai.system"
DEPRECATED_PROMPT_TOKENS = "gen_ai.usage.prompt_tokens"
DEPRECATED_COMPLETION_TOKENS = "gen_ai.usage.completion_tokens"
AG2_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read_input_tokens"
AG2_CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation_input_tokens"
AG2_THINKING_TOKENS = "gen_ai.usage.thinking_tokens"
AG2_SPAN_TYPE = "ag2.span.type"
AG2_USAGE_KIND = "ag2.usage.kind"
AG2_SPEAKER_SELECTED = "ag2.speaker_selection.selected"
AG2_CODE_EXIT_CODE = "ag2.code_execution.exit_code"
AG2_CODE_OUTPUT = "ag2.code_execution.output"
AG2_HUMAN_PROMPT = "ag2.human_input.prompt"
AG2_HUMAN_RESPONSE = "ag2.human_input.response"
OPENINFERENCE_SPAN_KIND = "openinference.span.kind"
OPENINFERENCE_AGENT_NAME = "agent.name"
OPENINFERENCE_RECIPIENT_NAME = "ag2.recipient.name"
OPENINFERENCE_MODEL_NAME = "llm.model_name"
OPENINFERENCE_PROVIDER = "llm.provider"
OPENINFERENCE_SYSTEM = "llm.system"
OPENINFERENCE_FINISH_REASON = "llm.finish_reason"
OPENINFERENCE_PROMPT_TOKENS = "llm.token_count.prompt"
OPENINFERENCE_COMPLETION_TOKENS = "llm.token_count.completion"
OPENINFERENCE_CACHE_READ_TOKENS = "llm.token_count.prompt_details.cache_read"
OPENINFERENCE_CACHE_WRITE_TOKENS = "llm.token_count.prompt_details.cache_write"
OPENINFERENCE_REASONING_TOKENS = "llm.token_count.completion_details.reasoning"
OPENINFERENCE_EMBEDDING_MODEL_NAME = "embedding.model_name"
OPENINFERENCE_TOOL_NAME = "tool.name"
OPENINFERENCE_TOOL_CALL_ID = "tool_call.id"
OPENINFERENCE_INPUT = "input.value"
OPENINFERENCE_OUTPUT = "output.value"

CONTENT_KEYS = frozenset(
    {
        TOOL_CALL_ARGUMENTS,
        TOOL_CALL_RESULT,
        SYSTEM_INSTRUCTIONS,
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        CODE_SOURCE,
        CODE_OUTPUT,
        HUMAN_PROMPT,
        HUMAN_RESPONSE,
        ERROR_MESSAGE,
        MESSAGE_CONTENT,
        EXCEPTION_MESSAGE,
        EXCEPTION_STACKTRACE,
    }
)
"""Attributes that hold what people, models and programs said: stored only in ``execution_events``."""


class NodeKind:
    """Values of ``cmbagent.node.kind``."""

    WORKFLOW = "workflow"
    PHASE = "phase"
    STEP = "step"
    AGENT = "agent"
    LLM = "llm"
    TOOL = "tool"
    CODE = "code_exec"
    APPROVAL = "approval"
    SPEAKER_SELECTION = "speaker_selection"
    CHAT = "chat"
    SPAN = "span"


class NodeType:
    """Values of ``dag_nodes.node_type`` besides the phase types."""

    WORKFLOW = "workflow"
    STEP = "step"
    BRANCH_POINT = "branch_point"
    AGENT = "agent"
    SUB_AGENT = "sub_agent"
    LLM = "llm"
    TOOL = "tool"
    CODE_EXEC = "code_exec"
    APPROVAL = "approval"
    SPEAKER_SELECTION = "speaker_selection"
    CHAT = "chat"
    SPAN = "span"
    PLACEHOLDER = "placeholder"


class Status:
    """Status words of nodes, events, steps and runs. Only the last two are final."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING_APPROVAL = "waiting_approval"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"


class EdgeType:
    """Values of ``dag_edges.dependency_type``."""

    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    CONDITIONAL = "conditional"
    HANDOFF = "handoff"


class EventType:
    """Values of ``execution_events.event_type``."""

    AGENT_CALL = "agent_call"
    LLM_CALL = "llm_call"
    TOOL_CALL = "tool_call"
    CODE_EXEC = "code_exec"
    FILE_GEN = "file_gen"
    APPROVAL_REQUESTED = "approval_requested"
    HANDOFF = "handoff"
    STATE_TRANSITION = "state_transition"
    ERROR = "error"


class EventSubtype:
    """Values of ``execution_events.event_subtype``."""

    START = "start"
    COMPLETE = "complete"
    ERROR = "error"
    END = "end"
    MESSAGE = "message"
    TRANSFER = "transfer"
    CREATE = "create"


class HandoffKind:
    """Values of ``cmbagent.handoff.kind``: what made AG2 go on with another agent."""

    LLM_CONDITION = "llm_condition"
    CONTEXT_CONDITION = "context_condition"
    REPLY_RESULT = "reply_result"
    AFTER_WORK = "after_work"
    GUARDRAIL = "guardrail"
    TARGET = "target"
    """A target was set, and no hook saw by what."""


class ErrorType:
    """Values of ``error.type`` where nothing was raised that has a type of its own."""

    TOOL_NOT_FOUND = "tool_not_found"


class RedoReason:
    """Values of ``cmbagent.redo.reason``."""

    FAILURE = "failure"
    FEEDBACK = "feedback"
