"""``run`` leaves a program as plain ``python`` would: each is run both ways, and all that is seen is compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commandline import COMMAND, PYTHON, environment, start

PROGRAMS = {
    "what main is": """
        import sys
        print(sorted((name, value) for name, value in globals().items() if name not in ("sys", "__loader__")))
        print(type(__loader__).__name__, __import__("__main__") is sys.modules["__main__"], sys.modules["__main__"].sys)
    """,
    "arguments and path": """
        import sys
        print(sys.argv, sys.path, sys.flags.safe_path)
    """,
    "an exception": """
        def fails():
            return 1 / 0
        fails()
    """,
    "a chained exception": """
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("while looking") from error
    """,
    "an exception group": 'raise ExceptionGroup("several", [ValueError(1), TypeError(2)])',
    "an exception with a note": """
        error = ValueError("noted")
        error.add_note("see here")
        raise error
    """,
    "a syntax error": "x = (1,",
    "exit without a code": "raise SystemExit",
    "exit with a number": "raise SystemExit(3)",
    "exit with a large number": "raise SystemExit(300)",
    "exit with a message": "import sys; sys.exit('a message')",
    "exit with an object": "raise SystemExit({'an': 'object'})",
    "exit at once": "import os; print('never flushed'); os._exit(7)",
    "an interrupt": "raise KeyboardInterrupt",
    "an own hook for exceptions": """
        import sys, traceback
        def hook(kind, error, tb):
            print("hook", kind.__name__, traceback.extract_tb(tb)[0].name, sys.last_value is error)
        sys.excepthook = hook
        1 / 0
    """,
    "functions at exit": """
        import atexit
        atexit.register(print, "first in, last out")
        atexit.register(print, "last in, first out")
        raise SystemExit(4)
    """,
    "a thread that outlives main": """
        import threading, time
        def later():
            time.sleep(0.1)
            print("thread", __name__)
        threading.Thread(target=later).start()
        raise ValueError("main is over")
    """,
    "a class of main pickled by a thread and at exit": """
        import atexit, pickle, threading, time
        class Result:
            def __eq__(self, other): return True
            __hash__ = None
        def there_and_back():
            time.sleep(0.05)
            print(pickle.loads(pickle.dumps(Result())) == Result(), Result.__module__)
        threading.Thread(target=there_and_back).start()
        atexit.register(there_and_back)
    """,
    "children by spawn": """
        import multiprocessing
        class Sum:
            def __init__(self, value): self.value = value
        def add(one, other): return Sum(one + other)
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print([found.value for found in pool.starmap(add, [(1, 2), (3, 4)])])
    """,
    "children by fork": """
        import multiprocessing, os
        def work(queue): queue.put(os.getpid())
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            child = context.Process(target=work, args=(queue,))
            child.start()
            print(queue.get() == child.pid)
            child.join()
            child = context.Process(target=__import__("time").sleep, args=(60,))
            child.start()
            child.terminate()
            child.join()
            print(child.exitcode)
    """,
    "annotations and the future": """
        from __future__ import annotations
        x: undefined_name = 1
        print(__annotations__)
    """,
    "no future of ours": """
        try:
            x: undefined_name = 1
        except NameError as error:
            print(error)
    """,
    "standard input": "import sys; print(sys.stdin.read(), sys.stdin.closed)",
    "handlers of signals": """
        import signal
        print([signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGPIPE)])
        print(signal.getsignal(signal.SIGINT).__name__)
    """,
    "itself as a module": """
        import sys
        import __main__
        print(__main__.__name__, __main__.__file__ == __file__, "script" in sys.modules)
    """,
}


def dedent(program: str) -> str:
    lines = program.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines).strip() + "\n"


def same_both_ways(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plain = start(PYTHON, *words, cwd=cwd, stdin="typed")
    traced = start(COMMAND, "run", *words, cwd=cwd, stdin="typed")
    assert masked(traced.stdout) == masked(plain.stdout)
    assert masked(traced.stderr) == masked(plain.stderr)
    assert traced.returncode == plain.returncode
    return traced


def masked(text: str) -> str:
    return re.sub("0x[0-9a-f]+", "0x", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_sees_no_difference(tmp_path: Path, name: str) -> None:
    (tmp_path / "script.py").write_text(dedent(PROGRAMS[name]))
    same_both_ways(tmp_path, "script.py", "-x", "--name", "-m", "--", "--help")


@pytest.mark.parametrize("name", ["what main is", "arguments and path", "an exception"])
def test_a_module_a_package_and_a_folder_see_no_difference(tmp_path: Path, name: str) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    for path in (package / "__main__.py", package / "module.py"):
        path.write_text(dedent(PROGRAMS[name]))
    for words in (["-m", "package"], ["-m", "package.module"], ["package"], ["package/module.py"]):
        same_both_ways(tmp_path, *words, "-m", "--database", "x")


def test_the_children_of_a_module_see_no_difference(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(dedent(PROGRAMS["children by spawn"]))
    same_both_ways(tmp_path, "-m", "module")


def test_a_link_and_a_roundabout_path_see_no_difference(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "script.py").write_text(dedent(PROGRAMS["arguments and path"]) + "print(__file__)\n1 / 0\n")
    (tmp_path / "link.py").symlink_to("below/script.py")
    for path in ("link.py", "./below/../below/script.py", str(tmp_path / "below" / "script.py")):
        same_both_ways(tmp_path, path)


@pytest.mark.parametrize("words", [["missing.py"], ["-m", "missing"], ["-m", "json.missing"], ["-m", "email"]])
def test_what_is_not_there_is_told_as_python_tells_it(tmp_path: Path, words: list[str]) -> None:
    assert same_both_ways(tmp_path, *words).returncode in (1, 2)


def test_a_compiled_script_runs(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print(__file__, sys.argv)")
    start(sys.executable, "-m", "compileall", "-b", "-q", ".", cwd=tmp_path)
    same_both_ways(tmp_path, "script.pyc", "x")


def test_nothing_but_this_package_is_imported_before_the_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import sys\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - set(sys.stdlib_module_names) - {'__main__'}))\n"
    )
    plain = start(sys.executable, "script.py", cwd=tmp_path)
    traced = start(COMMAND, "run", "script.py", cwd=tmp_path)
    assert set(eval(traced.stdout)) - set(eval(plain.stdout)) == {"cmbagent_otel"}


def test_a_file_beside_the_script_wins_over_a_package_that_we_use(tmp_path: Path) -> None:
    for name in ("rich", "sqlalchemy", "typer", "pydantic"):
        (tmp_path / f"{name}.py").write_text(f"mine = {name!r}")
    (tmp_path / "script.py").write_text(
        "import pydantic, rich, sqlalchemy, typer\nprint(rich.mine, sqlalchemy.mine, typer.mine, pydantic.mine)"
    )
    same_both_ways(tmp_path, "script.py")


def heed(signal_number: int) -> None:
    """What starts the tests may ignore a signal, as nohup does, and children inherit that."""
    signal.signal(signal_number, signal.default_int_handler if signal_number == signal.SIGINT else signal.SIG_DFL)


def ends_by(signal_number: int, *words: str | Path, cwd: Path) -> int:
    with subprocess.Popen(
        [str(word) for word in words],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: heed(signal_number),  # noqa: PLW1509 - no other thread runs here
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        process.send_signal(signal_number)
        process.communicate(timeout=30)
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_program_with_the_same_status(tmp_path: Path, number: int) -> None:
    (tmp_path / "script.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    assert ends_by(number, COMMAND, "run", "script.py", cwd=tmp_path) == -number


def test_the_programs_own_handler_of_sigterm_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    assert ends_by(signal.SIGTERM, COMMAND, "run", "script.py", cwd=tmp_path) == 9


# -- our own options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what to run"),
        (["--nonsense", "script.py"], "there is no option --nonsense"),
        (["--database"], "--database needs a value"),
        (["-m"], "-m needs a value"),
        (["no-such-command"], "there is no file 'no-such-command'"),
    ],
)
def test_a_wrong_call_is_one_line_that_names_the_fix(tmp_path: Path, words: list[str], said: str) -> None:
    done = start(COMMAND, "run", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_is_printed_before_a_script_and_left_to_the_script_after_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print(sys.argv)")
    assert start(COMMAND, "run", "--help", cwd=tmp_path).stdout.startswith("Usage: cmbagent-otel run")
    assert start(COMMAND, "run", "script.py", "--help", cwd=tmp_path).stdout == "['script.py', '--help']\n"


# -- other commands ------------------------------------------------------------------------------------------


def test_a_command_that_is_no_python_gets_the_environment(tmp_path: Path) -> None:
    done = start(
        COMMAND, "run", "--database", "sqlite:///x.db", "--session", "s", "sh", "-c", "env; exit 5", cwd=tmp_path
    )
    assert done.returncode == 5
    assert "CMBAGENT_OTEL_DATABASE_URL=sqlite:///x.db\n" in done.stdout
    assert "CMBAGENT_OTEL_SESSION_ID=s\n" in done.stdout
    assert "TRACEPARENT" not in done.stdout


def test_no_variable_of_ours_reaches_a_child_that_was_not_meant_to_have_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import autogen, subprocess; subprocess.run(['env'])")
    done = start(
        COMMAND,
        "run",
        "--database",
        "sqlite:///x.db",
        "script.py",
        cwd=tmp_path,
        env={"CMBAGENT_OTEL_SPOOL_DIR": str(tmp_path)},
    )
    ours = {name for name in done.stdout.split() if name.startswith(("CMBAGENT_OTEL", "OTEL", "TRACEPARENT"))}
    assert {name.partition("=")[0] for name in ours} == {"CMBAGENT_OTEL_SPOOL_DIR"}


def test_a_script_for_another_program_runs_there(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho $0 $1\nkill -9 $$\n")
    script.chmod(0o755)
    done = start(COMMAND, "run", "./tool", "argument", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (-9, "./tool argument\n")


def test_a_tool_of_this_python_runs_in_process(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv, 'cmbagent_otel' in sys.modules)\n")
    tool.chmod(0o755)
    assert start(COMMAND, "run", "./tool", "x", cwd=tmp_path).stdout == "['./tool', 'x'] True\n"
    on_path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    assert "x'] True" in start(COMMAND, "run", "tool", "x", cwd=tmp_path.parent, env=on_path).stdout
