"""Code in a kernel that lasts: by a Jupyter server, and in a kernel of AG2's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from cmbagent_otel.testing import say
from tests.scenarios.programs.chats import assistant
from tests.scenarios.programs.code import block, runner
from tests.scenarios.world import World, program, seen

MISSING = [name for name in ("jupyter_client", "kernel_gateway", "ipykernel", "websocket") if find_spec(name) is None]
CELLS = (
    say(block("answer = 6 * 7\nopen('answer.txt', 'w').write(str(answer))")),
    say(block("print(answer)") + "\n" + block("raise ValueError(answer)")),
    say("TERMINATE"),
)


@contextmanager
def by_server(world: World, **options: Any) -> Iterator[Any]:
    """A kernel of a Jupyter server on this machine."""
    from autogen.coding.jupyter import JupyterCodeExecutor, LocalJupyterServer

    with (
        LocalJupyterServer(log_file=str(world.folder / "server.log")) as server,
        JupyterCodeExecutor(server, output_dir=world.folder, **options) as executor,
    ):
        executor.execute_code_blocks([_enter(world)])
        yield executor


@contextmanager
def of_ones_own(world: World, **options: Any) -> Iterator[Any]:
    """A kernel that AG2 starts."""
    from autogen.coding.jupyter import EmbeddedIPythonCodeExecutor

    executor = EmbeddedIPythonCodeExecutor(output_dir=str(world.folder), **options)
    try:
        executor.execute_code_blocks([_enter(world)])
        yield executor
    finally:
        executor._kernel_manager.shutdown_kernel(now=True)
        executor._kernel_client.stop_channels()


def _enter(world: World) -> Any:
    from autogen.coding import CodeBlock

    return CodeBlock(language="python", code=f"import os; os.chdir({str(world.folder)!r})")


@program(*CELLS, traces=2, possible=not MISSING, listed=False)
def code_by_a_jupyter_server(world: World) -> Any:
    with by_server(world) as executor:
        return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


@program(*CELLS, traces=2, possible=not MISSING, listed=False)
def code_in_a_kernel(world: World) -> Any:
    with of_ones_own(world) as executor:
        return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


SLEEPS = (say(block("import time; time.sleep(60)")), say("TERMINATE"))


@program(*SLEEPS, traces=2, possible=not MISSING, listed=False)
def code_by_a_jupyter_server_that_takes_too_long(world: World) -> Any:
    with by_server(world, timeout=3) as executor:
        return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


@program(*SLEEPS, traces=2, possible=not MISSING, listed=False)
def code_in_a_kernel_that_takes_too_long(world: World) -> Any:
    with of_ones_own(world, timeout=3) as executor:
        return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))
