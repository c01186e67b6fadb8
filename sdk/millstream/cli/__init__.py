"""The `millstream` command: one module a group of commands, nothing heavy imported before it is needed."""

from __future__ import annotations


def main() -> None:
    """Run the command; errors of the platform become one line and exit code 1, Ctrl-C becomes 130."""
    from millstream.cli.main import run

    run()
