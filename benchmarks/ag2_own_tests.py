"""AG2's own offline tests, without our hooks and with them: ``ag2_own_tests.py CHECKOUT [PATH ...]``.

``CHECKOUT`` is a checkout of AG2 at the version that is installed here: its tests are in no package. Each run has a
copy of them, and they are compared test by test. What fails on this machine without hooks shall fail with them too.
This file is also the pytest plugin of the run with hooks.

Of 0.14.1, 1,084 tests: 967 pass, 115 are skipped (libraries of vendors and of hosts are absent), 2 fail, and none
differs. The two, ``test/coding/test_jupyter_save_html_utf8.py``, read AG2's sources, which a checkout of the tests
alone does not have.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PATHS = (
    "test/agentchat/test_conversable_agent.py",
    "test/agentchat/test_groupchat.py",
    "test/agentchat/test_groupchat_eligibility.py",
    "test/agentchat/test_function_call.py",
    "test/agentchat/test_function_call_groupchat.py",
    "test/agentchat/test_function_and_tool_calling.py",
    "test/agentchat/test_tool_calls.py",
    "test/agentchat/test_chats.py",
    "test/agentchat/test_async.py",
    "test/agentchat/test_async_chats.py",
    "test/agentchat/test_async_get_human_input.py",
    "test/agentchat/test_human_input.py",
    "test/agentchat/test_nested.py",
    "test/agentchat/test_event_streaming.py",
    "test/agentchat/test_multimodal_integration.py",
    "test/agentchat/test_structured_output.py",
    "test/agentchat/test_dependency_injection.py",
    "test/agentchat/group",
    "test/coding",
    "test/oai/test_client.py",
    "test/oai/test_utils.py",
    "test/tools",
)
# AG2 marks what needs a vendor, a server or a container.
ONLINE = "openai or gemini or anthropic or deepseek or ollama or bedrock or cerebras or docker or conda or integration"

INSTALLING = "silent_pip_install"
"""What changes the environment that both runs share."""

SPANS: Counter[str] = Counter()
"""Operation -> spans, in the run with hooks."""


def pytest_addoption(parser: Any) -> None:
    """``--traced``: the hooks are in, as they are in a program."""
    parser.addoption("--traced", action="store_true")


def pytest_configure(config: Any) -> None:
    """Put the hooks in, with content, on a provider that counts the spans and throws them away."""
    if not config.getoption("--traced"):
        return
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    from cmbagent_otel import content
    from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor

    class Counting(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            SPANS.update([span.name.partition(" ")[0]])

    content.configure(recorded=True, on_spans=True, limit=65536)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Counting())
    AutogenInstrumentor().instrument(tracer_provider=provider)


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Say what was traced, and which code of ours failed, if any did."""
    if config.getoption("--traced"):
        from cmbagent_otel.instrumentation.health import health

        terminalreporter.write_line(f"spans: {dict(SPANS)}; faults: {health().faults}")


def run(checkout: Path, paths: list[str], *options: str) -> tuple[dict[str, str], str]:
    """The outcome of each test, and the last lines that pytest wrote."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "ag2"
        shutil.copytree(checkout, place, ignore=shutil.ignore_patterns(".git"))
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "ag2_own_tests", "-p", "no:cacheprovider", "-rN"),
                *("-m", f"not ({ONLINE})", "-k", f"not ({INSTALLING})", "--timeout", "120"),
                *(f"--junit-xml={report}", *options),
                *(path for path in paths if (place / path).exists()),
            ],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",  # its local executor calls `python`
                "HOME": folder,
                "PYTHONPATH": str(Path(__file__).parent),
            },
        )
        if not report.exists():
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        return outcomes(report), "\n".join(
            line for line in done.stdout.splitlines()[-3:] if "spans:" in line or " in " in line
        )


def outcomes(report: Path) -> dict[str, str]:
    """Test -> passed, failed, error or skipped."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        found[name] = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
    return found


def main(checkout: Path, paths: list[str]) -> int:
    """Run both, print the numbers and every difference; 1 where there is one."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run, checkout, paths, *options) for options in ((), ("--traced",))]
        (without, said_without), (traced, said_traced) = (each.result() for each in runs)
    print(f"without hooks: {dict(Counter(without.values()))}\n  {said_without}")
    print(f"with hooks:    {dict(Counter(traced.values()))}\n  {said_traced}")
    different = sorted(name for name in {*without, *traced} if without.get(name) != traced.get(name))
    for name in different:
        print(f"different: {name}: {without.get(name)} without, {traced.get(name)} with hooks")
    print(f"{len(without)} tests, {len(different)} different")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or list(PATHS)))
