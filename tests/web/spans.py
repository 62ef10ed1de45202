"""Runs as spans: what a tracer would have sent, for the tests of the viewer.

``research`` is a run that goes on: a plan that a person approved, two steps done again, one running now.
``large`` is as big as is asked. Times are seconds from the start of the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType
from cmbagent_otel.spans.record import Heartbeat, SpanLink, SpanRecord, default_run_id, node_id

SECOND = 1_000_000_000
OWNER = "tests"

FAILING_CODE = """\
import numpy as np, healpy as hp
from cmbtools import bin_spectrum, beam_window

m    = hp.read_map('maps/tsz_spt_like.fits')
mask = hp.read_map('maps/mask_apod.fits')
bl   = beam_window(fwhm_arcmin=1.2, lmax=8000)

alm  = hp.map2alm(m * mask, lmax=8000)
alm  = hp.almxfl(alm, 1.0 / bl)      # beam
cl   = hp.alm2cl(alm) / bl**2       # beam again
cl  /= np.mean(mask**2)
b    = bin_spectrum(cl, edges, weights=mask)
np.savez('out/cl_tsz.npz', **b)
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "run_ps.py", line 12, in <module>
    b = bin_spectrum(cl, edges, weights=mask)
  File "cmbtools/spectra.py", line 88
ValueError: 214 of 400 bins are not finite (first: ell=5120, value=inf)
"""
WORKING_CODE = FAILING_CODE.replace("hp.alm2cl(alm) / bl**2       # beam again", "hp.alm2cl(alm)")


class Spans:
    """Spans in the making, in the order of their starts; ``records()`` gives start records for what is open."""

    def __init__(self, *, start: float | None = None, trace: int = 0x7F3A91C2, run_id: str | None = None) -> None:
        self.trace_id = f"{trace:08x}{'0' * 8}{trace:016x}"
        self.run_id = run_id or default_run_id(self.trace_id)
        self._start = round((time.time() if start is None else start) * SECOND)
        self._open: list[str | None] = [None]
        self._spans: list[SpanRecord] = []

    def at(self, seconds: float) -> int:
        """A moment of the run, in nanoseconds since the epoch."""
        return self._start + round(seconds * SECOND)

    def id(self, span_id: str) -> str:
        """The node id of a span."""
        return node_id(self.trace_id, span_id)

    def add(
        self,
        name: str,
        kind: str,
        t0: float,
        t1: float | None,
        *,
        node_type: str | None = None,
        error: str | None = None,
        error_type: str = "ValueError",
        links: Sequence[SpanLink] = (),
        attributes: dict[str, Any] | None = None,
    ) -> str:
        """Add a span under the one that is open; returns its span id."""
        span_id = f"{len(self._spans) + 1:016x}"
        stated: dict[str, Any] = {
            semconv.NODE_TYPE: node_type or kind,
            semconv.NODE_KIND: kind,
            semconv.RUN_ID: self.run_id,
            **(attributes or {}),
        }
        if error is not None:
            stated[semconv.ERROR_TYPE] = error_type
            stated[semconv.ERROR_MESSAGE] = error
        self._spans.append(
            SpanRecord(
                self.trace_id,
                span_id,
                self._open[-1],
                name,
                "INTERNAL",
                self.at(t0),
                None if t1 is None else self.at(t1),
                "UNSET" if error is None else "ERROR",
                error or "",
                stated,
                links=tuple(links),
                resource={semconv.SERVICE_INSTANCE_ID: OWNER, semconv.SERVICE_NAME: "tests"},
            )
        )
        return span_id

    @contextmanager
    def inside(self, span_id: str) -> Iterator[str]:
        """Add what follows under that span."""
        self._open.append(span_id)
        yield span_id
        self._open.pop()

    def workflow(self, name: str, t0: float, t1: float | None, task: str = "", **more: Any) -> str:
        attributes = {semconv.WORKFLOW_NAME: name, semconv.WORKFLOW_TASK: task}
        return self.add(f"invoke_workflow {name}", NodeKind.WORKFLOW, t0, t1, attributes=attributes, **more)

    def phase(self, phase: str, t0: float, t1: float | None, *, after: str | None = None, **more: Any) -> str:
        attributes = {semconv.PHASE_TYPE: phase, **self._after(after)}
        return self.add(f"phase {phase}", NodeKind.PHASE, t0, t1, node_type=phase, attributes=attributes, **more)

    def step(
        self, number: int, goal: str, t0: float, t1: float | None, *, after: str | None = None, **more: Any
    ) -> str:
        attributes = {
            semconv.STEP_NUMBER: number,
            semconv.STEP_GOAL: goal,
            semconv.STEP_ATTEMPT: 1,
            **self._after(after),
        }
        return self.add(f"step {number}", NodeKind.STEP, t0, t1, attributes=attributes, **more)

    def redo(
        self,
        number: int,
        goal: str,
        t0: float,
        t1: float | None,
        *,
        of: str,
        previous: str | None = None,
        redo_number: int = 1,
        why: str,
        hypothesis: str,
        **more: Any,
    ) -> str:
        attributes = {
            semconv.STEP_NUMBER: number,
            semconv.STEP_GOAL: goal,
            semconv.STEP_ATTEMPT: redo_number + 1,
            semconv.REDO_NUMBER: redo_number,
            semconv.REDO_BRANCH_NAME: f"redo_{redo_number}",
            semconv.REDO_HYPOTHESIS: hypothesis,
            semconv.REDO_REASON: why,
            semconv.REDO_SOURCE: self.id(of),
        }
        link = SpanLink(self.trace_id, previous or of, {semconv.LINK_KIND: semconv.LINK_REDO_OF})
        name = f"step {number} redo {redo_number}"
        return self.add(
            name,
            NodeKind.STEP,
            t0,
            t1,
            node_type=NodeType.BRANCH_POINT,
            attributes=attributes,
            links=[link],
            **more,
        )

    def agent(self, name: str, t0: float, t1: float | None, *, by: str | None = None, **more: Any) -> str:
        attributes: dict[str, Any] = {semconv.AGENT_NAME: name}
        if by is not None:
            attributes[semconv.HANDOFF_FROM] = self.id(by)
        return self.add(f"invoke_agent {name}", NodeKind.AGENT, t0, t1, attributes=attributes, **more)

    def llm(
        self, t0: float, t1: float | None, said: str = "", *, asked: str = "", tokens: tuple[int, int] = (4200, 380)
    ) -> str:
        attributes: dict[str, Any] = {
            semconv.REQUEST_MODEL: "gpt-4.1",
            semconv.PROVIDER_NAME: "openai",
            semconv.SYSTEM_INSTRUCTIONS: "You are one of a team of cosmologists.",
            semconv.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": asked}]}]),
        }
        if t1 is not None:
            attributes[semconv.USAGE_INPUT_TOKENS], attributes[semconv.USAGE_OUTPUT_TOKENS] = tokens
            attributes[semconv.OUTPUT_MESSAGES] = json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": said}], "finish_reason": "stop"}]
            )
        return self.add("chat gpt-4.1", NodeKind.LLM, t0, t1, attributes=attributes)

    def tool(self, name: str, t0: float, t1: float | None, arguments: str = "{}", result: str = "ok") -> str:
        attributes: dict[str, Any] = {semconv.TOOL_NAME: name, semconv.TOOL_CALL_ARGUMENTS: arguments}
        if t1 is not None:
            attributes[semconv.TOOL_CALL_RESULT] = result
        return self.add(f"execute_tool {name}", NodeKind.TOOL, t0, t1, attributes=attributes)

    def code(self, t0: float, t1: float | None, source: str, output: str = "", exit_code: int = 0) -> str:
        attributes: dict[str, Any] = {semconv.CODE_LANGUAGE: "python", semconv.CODE_SOURCE: source}
        if t1 is not None:
            attributes[semconv.PROCESS_EXIT_CODE] = exit_code
            attributes[semconv.CODE_OUTPUT] = output
        error = output.strip().splitlines()[-1] if exit_code else None
        return self.add("execute_code engineer", NodeKind.CODE, t0, t1, error=error, attributes=attributes)

    def human(self, agent: str, t0: float, t1: float | None, prompt: str, answer: str = "") -> str:
        attributes = {semconv.AGENT_NAME: agent, semconv.HUMAN_PROMPT: prompt, semconv.HUMAN_RESPONSE: answer}
        return self.add(f"await_human_input {agent}", NodeKind.APPROVAL, t0, t1, attributes=attributes)

    def _after(self, span_id: str | None) -> dict[str, Any]:
        return {} if span_id is None else {semconv.DAG_DEPENDS_ON: [self.id(span_id)]}

    def records(self) -> list[SpanRecord]:
        """All spans: the ended ones as they ended, the others as they started."""
        return list(self._spans)

    def alive(self) -> Heartbeat:
        """The owner of the run says that it is alive."""
        return Heartbeat((self.run_id,), OWNER, time.time_ns())


TASK = "tSZ amplitude from SPT-like maps\nMeasure it with its covariance, and say how it compares with Planck."


def research(*, elapsed: float = 11164.0, **more: Any) -> Spans:  # a scenario is told in one go
    """Some sixty nodes of a run that goes on; it began ``elapsed`` seconds ago."""
    spans = Spans(start=time.time() - elapsed, **more)
    with spans.inside(spans.workflow("planning_and_control", 0, None, TASK)):
        planning = spans.phase("planning", 0, 232)
        with spans.inside(planning):
            draft = spans.step(1, "Draft the plan", 0, 190)
            with spans.inside(draft):
                planner = spans.agent("planner", 0, 103)
                with spans.inside(planner):
                    spans.llm(0, 52, "Let me look at what is known.", tokens=(8100, 900))
                    spans.llm(55, 98, "Eight steps.", tokens=(12400, 1100))
                    spans.tool("arxiv_search", 99, 103, '{"query": "tSZ power spectrum SPT"}', "12 papers")
                with spans.inside(spans.agent("plan_reviewer", 108, 190, by=planner)):
                    spans.llm(108, 188, "The plan is sound.", tokens=(9800, 240))
            with (
                spans.inside(spans.step(2, "Record the plan", 190, 232, after=draft)),
                spans.inside(spans.agent("plan_recorder", 190, 232)),
            ):
                spans.llm(191, 214, "Recorded.", tokens=(6000, 300))
                spans.tool("record_plan", 215, 231)
        review = spans.phase("hitl_planning", 232, 6352, after=planning)
        with (
            spans.inside(review),
            spans.inside(spans.step(3, "Approve the plan", 232, 6352)),
            spans.inside(spans.agent("scientist", 232, 6352)),
        ):
            spans.human("scientist", 232, 6352, "Is this plan sound?", "Yes; mind the beam.")
        with spans.inside(spans.phase("control", 6360, None, after=review)):
            maps = spans.step(4, "Simulate maps", 6360, 7420)
            with spans.inside(maps):
                with spans.inside(spans.agent("camb_context", 6362, 6440)):
                    spans.llm(6362, 6430, tokens=(15000, 800))
                    spans.tool("camb_docs", 6431, 6440)
                with spans.inside(spans.agent("engineer", 6445, 7418)):
                    spans.llm(6445, 6610, "Here is the simulation.", tokens=(21000, 2100))
                    spans.code(6612, 7380, WORKING_CODE, "wrote maps/tsz_spt_like.fits")
                    spans.llm(7382, 7418, "Maps are there.", tokens=(22500, 160))
            failed = spans.step(
                5,
                "Power spectrum",
                7425,
                7980,
                after=maps,
                error="engineer gave up after 3 tries",
                error_type="StepFailed",
            )
            with spans.inside(failed), spans.inside(spans.agent("engineer", 7427, 7978, error="3 tries failed")):
                for t0 in (7427, 7590, 7766):
                    spans.llm(
                        t0, t0 + 113, "I bin the spectrum.", asked="Compute the power spectrum", tokens=(24000, 1900)
                    )
                    spans.code(t0 + 115, t0 + 157, FAILING_CODE, TRACEBACK, exit_code=1)
            again = spans.redo(
                5,
                "Power spectrum",
                7990,
                8710,
                of=failed,
                why="failure",
                hypothesis="Beam was applied twice: deconvolve the window before binning",
            )
            with spans.inside(again):
                engineer = spans.agent("engineer", 7992, 8640)
                with spans.inside(engineer):
                    spans.llm(7992, 8120, "Only once, then.", asked="Compute the power spectrum", tokens=(26000, 2000))
                    spans.code(8122, 8602, WORKING_CODE, "400 of 400 bins finite")
                    spans.llm(8604, 8640, "All bins are finite.", tokens=(27000, 200))
                with spans.inside(spans.agent("researcher", 8645, 8708, by=engineer)):
                    spans.llm(8645, 8708, "This agrees with the theory.", tokens=(12000, 700))
            covariance = spans.step(6, "Covariance", 8715, 9420, after=again)
            with spans.inside(covariance), spans.inside(spans.agent("engineer", 8717, 9418)):
                spans.llm(8717, 8830, tokens=(25000, 1500))
                spans.code(8832, 9396, WORKING_CODE, "cov written")
                spans.tool("save_npz", 9398, 9418)
            fit = spans.step(7, "Fit amplitude", 9425, 10380, after=covariance)
            with spans.inside(fit):
                engineer = spans.agent("engineer", 9427, 9990)
                with spans.inside(engineer):
                    spans.llm(9427, 9560, tokens=(26000, 1900))
                    spans.code(9562, 9990, WORKING_CODE, "A = 0.71 +- 0.02")
                judge = spans.agent("plot_judge", 9995, 10105, by=engineer)
                with spans.inside(judge):
                    spans.llm(9995, 10096, tokens=(18000, 600))
                    spans.tool("view_plot", 10097, 10105)
                with spans.inside(spans.agent("scientist", 10110, 10380, by=judge)):
                    spans.human("scientist", 10110, 10380, "Do you accept?", "No: the errors are too small.")
            better = spans.redo(
                7,
                "Fit amplitude",
                10390,
                None,
                of=fit,
                why="feedback",
                hypothesis="Use the covariance of 500 mocks, not the Gaussian one",
            )
            with spans.inside(better), spans.inside(spans.agent("engineer", 10392, None)):
                spans.llm(10392, 10540, "I use the mocks.", tokens=(28000, 2200))
                spans.tool("load_mocks", 10541, 10560)
                spans.code(10763, None, "import numpy as np, emcee\nrun_chain(Cinv, n_walkers=32, n_steps=20000)\n")
    return spans


def large(nodes: int, *, open_run: bool = False, **more: Any) -> Spans:
    """At least ``nodes`` nodes: steps of three agents with nine calls each, every second or so done again."""
    spans = Spans(start=time.time() - 86_400 * 2, **more)
    clock = 0.0
    length = nodes * 18.0
    previous = None
    with spans.inside(spans.workflow("deep_research", 0, None if open_run else length, "A long run\nwith many steps")):
        number = 0
        phases = {"planning": 4, "hitl_planning": 1, "control": 1 << 30}
        before = None
        for phase, steps in phases.items():
            ends = length if phase == "control" else clock + steps * 3 * 540
            before = spans.phase(phase, clock, None if open_run and phase == "control" else ends, after=before)
            previous = None
            with spans.inside(before):
                for _ in range(steps):
                    if len(spans.records()) >= nodes:
                        break
                    tries = 3 if number % 7 == 3 else 2 if number % 5 == 2 else 1
                    number += 1
                    first = last = ""
                    for attempt in range(1, tries + 1):
                        t0, clock = clock, clock + 540
                        goal = f"Step {number}: a part of the work"
                        error = None if attempt == tries else "the judge did not accept"
                        if attempt == 1:
                            first = last = spans.step(number, goal, t0, clock, after=previous, error=error)
                        else:
                            last = spans.redo(
                                number,
                                goal,
                                t0,
                                clock,
                                of=first,
                                previous=last,
                                redo_number=attempt - 1,
                                why="failure",
                                hypothesis=f"Hypothesis {attempt} of step {number}",
                                error=error,
                            )
                        with spans.inside(last):
                            _turns(spans, t0, fails=attempt < tries)
                    previous = last
    return spans


def _turns(spans: Spans, t0: float, *, fails: bool) -> None:
    giver = None
    for turn, name in enumerate(("engineer", "researcher", "plot_judge")):
        start = t0 + turn * 180
        giver = spans.agent(name, start, start + 180, by=giver)
        with spans.inside(giver):
            for call in range(3):
                at = start + call * 60
                spans.llm(at, at + 20, "A thought.", tokens=(900, 80))
                spans.tool("look_up", at + 20, at + 30)
                bad = fails and call == 2 and turn == 0
                spans.code(at + 30, at + 60, FAILING_CODE, TRACEBACK if bad else "done", exit_code=int(bad))
