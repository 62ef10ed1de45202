"""The way into the command line. ``run`` leaves it before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point ``cmbagent-otel``."""
    if sys.argv[1:2] == ["run"]:
        from cmbagent_otel.cli.run import run

        run(sys.argv[2:])
    else:
        from cmbagent_otel.cli.app import start

        start()


if __name__ == "__main__":
    main()
