"""The commands. Each loads what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from cmbagent_otel.errors import CmbagentOtelError, SettingsError

app = typer.Typer(
    name="cmbagent-otel",
    help="Every AG2 / CMBAgent run as one OpenTelemetry trace, and as a graph you can query while it runs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The tables: make them, bring them up to date, look at them.", no_args_is_help=True)
app.add_typer(db, name="db")

# Typer brings its own copy of click, and older ones use the installed click: the class is found either way.
_Misuse: type[Exception] = typer.BadParameter.__mro__[2]

Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="The database, instead of CMBAGENT_OTEL_DATABASE_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, a CMBAgent task id, or 'last'.")
]

Side = Annotated[str, typer.Argument(metavar="A", help="RUN, or RUN:STEP or RUN:STEP.ATTEMPT, or RUN:NODE.")]


def start() -> None:
    """Run the command that the arguments name; what goes wrong is one line that names the fix."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    code = None
    try:
        code = app(prog_name="cmbagent-otel", standalone_mode=False)
        sys.stdout.flush()
    except CmbagentOtelError as error:
        _fail(str(error), 2 if isinstance(error, SettingsError) else 1)
    except _Misuse as error:
        _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read has gone, as `head` does: quietly, and with 1, as typer and rich do it elsewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    from cmbagent_otel.cli.terminal import tell

    tell(f"cmbagent-otel: {message}")
    sys.exit(code)


def _usage(error: Any) -> None:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "cmbagent-otel"
    message = error.format_message().rstrip()
    if "\n" in message:  # no arguments at all: the message is the help
        typer.echo(message)
        sys.exit(0)
    if message:
        stop = "" if message.endswith((".", "?", "!", ")")) else "."
        _fail(f"{message}{stop} `{where} --help` says what there is.", 2)
    sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from cmbagent_otel.version import __version__

        typer.echo(f"cmbagent-otel {__version__}")
        raise typer.Exit
    del context


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def run(context: typer.Context) -> None:
    """Run an unchanged Python program traced: run SCRIPT [ARGS] | -m MODULE | COMMAND."""
    from cmbagent_otel.cli.run import run as run_program

    run_program(context.args)


@app.command()
def runs(
    *,
    status: Annotated[str | None, typer.Option(help="Only runs of this status.")] = None,
    mode: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    search: Annotated[str | None, typer.Option(help="Only runs with this in their task, name or id.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    database: Database = None,
    json: Json = False,
) -> None:
    """List the runs, the newest first."""
    from cmbagent_otel.cli import commands

    commands.runs(database, status=status, mode=mode, text=search, limit=limit, json=json)


@app.command()
def show(
    *,
    name: Run = "last",
    depth: Annotated[int | None, typer.Option(min=0, help="Only so many levels below the run.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only what failed, and where it stands.")] = False,
    agent: Annotated[str | None, typer.Option(help="Only this agent's turns and what they did.")] = None,
    status: Annotated[str | None, typer.Option(help="Only what has this status.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Spans of other libraries too.")] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show a run as a tree: phases, steps, redos, agents, calls."""
    from cmbagent_otel.cli import commands
    from cmbagent_otel.cli.show import Filter

    wanted = Filter(depth, errors, agent, status, everything)
    commands.show(database, name, wanted, json=json)


@app.command()
def doctor(
    *,
    tables: Annotated[bool, typer.Option("--db", help="The tables too: size, growth, query times.")] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """Say what is set, installed, reachable and lost, and how to mend it; exit code 1 when something needs mending."""
    from cmbagent_otel.cli.doctor import examine

    raise typer.Exit(examine(database, tables=tables, json=json))


@app.command()
def watch(
    name: Run = "last",
    *,
    depth: Annotated[int | None, typer.Option(min=0, help="Only so many levels below the run.")] = None,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 0.5,
    database: Database = None,
) -> None:
    """Follow a run until it ends; one line for each change where the output is no terminal."""
    from cmbagent_otel.cli.show import Filter
    from cmbagent_otel.cli.watch import watch as follow

    follow(database, name, Filter(depth), interval=interval)


@app.command()
def diff(
    first: Side,
    second: Annotated[str | None, typer.Argument(metavar="[B]", help="The other; else the next attempt.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="What is the same too.")] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """Compare two runs, or two attempts of a step: outcome, cost, plan, calls, code and output."""
    from cmbagent_otel.cli import diff as comparison

    comparison.show(database, first, second, everything=everything, json=json)


@app.command()
def export(
    name: Run = "last",
    *,
    form: Annotated[str, typer.Option("--format", "-f", help="json, html, mermaid or dot.")] = "json",
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of the screen.")] = None,
    redact: Annotated[bool, typer.Option("--redact", help="HTML without messages, code and outputs.")] = False,
    database: Database = None,
) -> None:
    """Write a run as JSON, Mermaid, DOT, or one HTML file that needs nothing else."""
    from cmbagent_otel.cli import commands

    commands.export(database, name, form, output, redact=redact)


@app.command()
def purge(
    *,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Runs that ended so long ago: 30d, 12h, 2w.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="RUN", help="Only this run; may be repeated.")
    ] = None,
    events_only: Annotated[
        bool, typer.Option("--events-only", help="Only their events, with all content; the graph stays.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """Delete whole runs by when they ended; a run that goes on is never touched."""
    from cmbagent_otel.cli.purge import purge as delete_runs

    # Who sits at a terminal is asked; a job of cron is not.
    ask = sys.stdin.isatty() and not (yes or json)
    delete_runs(
        database,
        older_than,
        run or [],
        events_only=events_only,
        dry_run=dry_run,
        json=json,
        confirm=(lambda question: typer.confirm(question, abort=True)) if ask else None,
    )


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8520,
    token: Annotated[
        str | None, typer.Option(help="Asked of everyone; 'auto' makes one. Else CMBAGENT_OTEL_TOKEN.")
    ] = None,
    jaeger_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where Jaeger's pages are, for links to spans.")
    ] = None,
    database: Database = None,
) -> None:
    """Serve the web viewer."""
    from cmbagent_otel.cli import servers

    servers.viewer(database, host=host, port=port, token=token, jaeger_url=jaeger_url)


@app.command()
def sink(
    *,
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 14400,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    database: Database = None,
) -> None:
    """Take OTLP (/v1/traces, /v1/logs), as a Collector sends it, and write it to the database."""
    from cmbagent_otel.cli import servers

    servers.sink(database, host=host, port=port, workers=workers)


@db.command("upgrade")
def db_upgrade(
    revision: Annotated[str, typer.Argument(help="The revision to go to.")] = "head", *, database: Database = None
) -> None:
    """Make the tables, or bring them up to date."""
    from cmbagent_otel.cli import db as tables

    tables.upgrade(database, revision)


@db.command("downgrade")
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="The revision to go back to; 'base' takes our tables away.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = None,
) -> None:
    """Take the tables back to an earlier revision."""
    from cmbagent_otel.cli import db as tables

    if not yes:
        typer.confirm("Columns and tables of later revisions go, with what is in them. Go on?", abort=True)
    tables.downgrade(database, revision)


@db.command("current")
def db_current(*, database: Database = None, json: Json = False) -> None:
    """Say at which revision the tables are."""
    from cmbagent_otel.cli import db as tables

    tables.current(database, json=json)


@db.command("check")
def db_check(*, database: Database = None, json: Json = False) -> None:
    """Exit with 1 unless the tables are those of this version."""
    from cmbagent_otel.cli import db as tables

    raise typer.Exit(tables.check(database, json=json))


@db.command("sql")
def db_sql(
    dialect: Annotated[str, typer.Argument(help="postgresql or sqlite.")] = "postgresql",
    *,
    down: Annotated[bool, typer.Option("--down", help="The way back instead.")] = False,
    holds: Annotated[
        str, typer.Option("--holds", help="What an SQLite file holds: empty, flat, tree, flat-stages or tree-stages.")
    ] = "empty",
) -> None:
    """Print the migrations as SQL, for a database's administrator."""
    from cmbagent_otel.cli import db as tables

    tables.sql(dialect, down=down, holds=holds)


@db.command("sweep")
def db_sweep(*, database: Database = None) -> None:
    """Close the runs whose owner is gone, as interrupted."""
    from cmbagent_otel.cli import db as tables

    tables.sweep(database)
