"""``workflow`` and ``phase``, and the workflow that opens around what stands outside of one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context

from cmbagent_otel import resumption, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.lineage import Siblings
from cmbagent_otel.resumption import Left
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import NodeKind, NodeType, Operation
from cmbagent_otel.tracing.block import Block, Defaults, follow, said

_logger = logging.getLogger(__name__)


class Workflow(Block):
    """A whole run; inside another run, a part of it.

    Args:
        name: what becomes ``workflow_runs.mode``.
        task: what it is for.
        run_id: a run of that id is gone on with, also in another process and on another day; unset: a new run.
        session_id: the session of a new run; unset: one of its own.
        agent: the agent that does most of it.
        model: the model of that agent.
    """

    def __init__(
        self,
        name: str,
        *,
        task: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
        agent: str | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.task = task
        self.agent = agent
        self.model = model
        self.run_id = run_id
        """The run's id; known once the block is entered."""
        self.session_id = session_id
        self._siblings: Siblings | None = None
        self._follows: Sequence[str] = ()

    def begin_around(self, started_at: int) -> Node:
        """Begin around all that belongs to no workflow of the program, as of ``started_at`` (Unix nanoseconds)."""
        self._node = self._start(Context(), None, started_at)
        return self._node

    def _begin(self) -> Node:
        context, enclosing = scopes.enclosing(for_workflow=True)
        node = self._start(context, enclosing, None)
        if enclosing is None:
            scopes.workflow_opened(node)
        return node

    def _start(self, context: Context, enclosing: Scope | None, started_at: int | None) -> Node:
        attributes: dict[str, Any] = {
            semconv.OPERATION_NAME: Operation.INVOKE_WORKFLOW,
            semconv.WORKFLOW_NAME: self.name,
        }
        stated = {
            semconv.WORKFLOW_TASK: said(self.task),
            semconv.AGENT_NAME: self.agent,
            semconv.REQUEST_MODEL: self.model,
        }
        attributes.update({key: value for key, value in stated.items() if value is not None})
        run_id, session_id = self.run_id or Defaults.run_id, self.session_id or Defaults.session_id
        left: Left | None = None
        if enclosing is not None:
            self._join(enclosing, attributes)
        elif run_id is not None:
            left = resumption.find(run_id)
            session_id = session_id or (left.session_id if left is not None else None)
            if left is not None or run_id == Defaults.run_id:
                _logger.info("joined run %s", run_id)
        if enclosing is None and session_id is not None:
            attributes[semconv.SESSION_ID] = session_id
        node = scopes.start(
            f"{Operation.INVOKE_WORKFLOW} {self.name}",
            NodeType.WORKFLOW,
            NodeKind.WORKFLOW,
            attributes,
            links=[] if left is None else [left.link],
            context=context,
            scope=enclosing,
            run_id=run_id,
            session_id=session_id,
            start_time=started_at,
        )
        self.run_id, self.session_id = node.scope.run_id, node.scope.session_id
        if enclosing is None:
            attempts = left.attempts if left is not None else ()
            resumption.leave(Left(node.scope.run_id, node.scope.session_id, node.span_context, attempts))
        return node

    def _join(self, enclosing: Scope, attributes: dict[str, Any]) -> None:
        self._siblings = enclosing.siblings
        self._follows = follow(self._siblings, attributes)
        _logger.info("joined run %s", enclosing.run_id)
        if self.run_id not in (None, enclosing.run_id):
            _logger.warning(
                "workflow %r asked for run %s inside run %s: it is part of the run around it. "
                "Open it outside to make it a run of its own.",
                self.name,
                self.run_id,
                enclosing.run_id,
            )

    def _finish(self, node: Node, error: BaseException | None) -> None:
        if self._siblings is not None:
            self._siblings.end(node.id, self._follows)
        scopes.workflow_closed(node)
        node.end(error)


class Part(Block):
    """What stands inside a workflow; outside of one it opens one around itself."""

    def __init__(self) -> None:
        super().__init__()
        self._implicit: Workflow | None = None

    def _where(self) -> tuple[Context, Scope]:
        context, enclosing = scopes.enclosing()
        if enclosing is None:
            self._implicit = Workflow("workflow").__enter__()
            context, enclosing = scopes.enclosing()
        if enclosing is None:  # pragma: no cover - the workflow just opened encloses
            raise RuntimeError
        return context, enclosing

    def _finish(self, node: Node, error: BaseException | None) -> None:
        node.end(error)
        if self._implicit is not None:
            self._implicit.__exit__(None if error is None else type(error), error, None)
            self._implicit = None


class Phase(Part):
    """A phase of a workflow, such as ``planning`` or ``control``."""

    def __init__(self, phase_type: str, *, max_redos: int | None = None) -> None:
        super().__init__()
        self.type = phase_type
        self.max_redos = max_redos
        self._siblings: Siblings | None = None
        self._follows: Sequence[str] = ()

    def _begin(self) -> Node:
        context, enclosing = self._where()
        self._siblings = enclosing.siblings
        attributes: dict[str, Any] = {semconv.PHASE_TYPE: self.type}
        self._follows = follow(self._siblings, attributes)
        node = scopes.start(
            f"phase {self.type}", self.type, NodeKind.PHASE, attributes, context=context, scope=enclosing
        )
        if self.max_redos is not None:
            node.scope.max_redos = self.max_redos
        return node

    def _finish(self, node: Node, error: BaseException | None) -> None:
        if self._siblings is not None:
            self._siblings.end(node.id, self._follows)
        super()._finish(node, error)
