"""How things look in the terminal: tables from the server, timelines, one-line errors."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 140
out = Console(highlight=False, soft_wrap=True, emoji=False)  # a user's `:x:` stays what it is
if not out.is_terminal:  # a file or a log has no width of its own
    out = Console(highlight=False, soft_wrap=True, emoji=False, width=PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

GOOD, BAD, BUSY = "green", "red", "yellow"


def server_table(table: dict[str, Any], with_namespace: bool = False) -> Table:
    """A `meta.k8s.io/v1` Table as a Rich table, its priority columns left out."""
    shown = [i for i, column in enumerate(table["columnDefinitions"]) if not column.get("priority")]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    if with_namespace:
        drawn.add_column("NAMESPACE")
    for i in shown:
        drawn.add_column(table["columnDefinitions"][i]["name"].upper(), overflow="fold")
    for row in table["rows"]:
        cells = ["" if row["cells"][i] is None else str(row["cells"][i]) for i in shown]
        namespace = [row["object"]["metadata"].get("namespace", "")] if with_namespace else []
        drawn.add_row(*namespace, *cells)
    return drawn


def plain_table(headers: list[str], rows: list[list[str]], whole: str = "") -> Table:
    """A borderless table of strings. A narrow terminal folds long ones, but never those of the column `whole`."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold", no_wrap=header == whole)
    for row in rows:
        drawn.add_row(*row)
    return drawn
