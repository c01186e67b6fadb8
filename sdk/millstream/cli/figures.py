"""`metrics`: how the figures that a job reported went, one line each; while it runs and after it is gone."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from millstream.cli.options import Home, Namespace, connect
from millstream.cli.show import out, plain_table
from millstream.errors import ClientError

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40


def metrics(
    target: Annotated[str, typer.Argument(help="A training job: NAME, or kind/NAME")],
    namespace: Namespace = "default",
    name: Annotated[str, typer.Option("--name", help="Only this figure")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or csv")] = "table",
    home: Home = None,
) -> None:
    """Show how a job's figures went: first, last, least, most, and their course."""
    from millstream.archive import Job

    kind, slash, job_name = target.partition("/")
    with connect(home) as client:
        job = Job.find(client, kind if slash else "trainjobs", job_name if slash else target, namespace)
        reports = job.figures()
    chosen = [_only(report, name) for report in reports]
    if output == "json":
        out.print_json(json.dumps(chosen))
    elif output == "csv":
        _write_csv(chosen)
    elif output == "table":
        _show(target, chosen)
    else:
        raise ClientError(f"--output {output!r} is not known: use table, json or csv")


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """The course of the figures as a row of bars; each stands for the last finite figure of its share of the run."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    least, most = min(finite), max(finite)
    count = min(width, len(values))
    shares = [values[len(values) * at // count : len(values) * (at + 1) // count] for at in range(count)]
    return "".join(_bar([value for value in share if math.isfinite(value)], least, most) for share in shares)


def _bar(share: Sequence[float], least: float, most: float) -> str:
    if not share:
        return " "
    height = 0.5 if most == least else (share[-1] - least) / (most - least)
    return BARS[min(len(BARS) - 1, int(height * len(BARS)))]


def _only(report: dict[str, Any], name: str) -> dict[str, Any]:
    if not name:
        return report
    return {**report, "metrics": {key: value for key, value in report["metrics"].items() if key == name}}


def _show(target: str, reports: Sequence[dict[str, Any]]) -> None:
    if not reports:
        out.print(f"{target} has reported nothing (millstream.training.report, or the Kubeflow SDK's own)")
        return
    done = next((r["progressPercentage"] for r in reversed(reports) if "progressPercentage" in r), None)
    reached = "" if done is None else f", {done} % done"
    out.print(f"{target}: {len(reports)} reports from {reports[0]['time']} to {reports[-1]['time']}{reached}")
    rows = [_row(name, [r["metrics"][name] for r in reports if name in r["metrics"]]) for name in _names(reports)]
    if rows:
        out.print(plain_table(["METRIC", "FIRST", "LAST", "LEAST", "MOST", "COURSE"], rows))


def _names(reports: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for report in reports for name in report["metrics"]))


def _row(name: str, texts: Sequence[str]) -> list[str]:
    values = [_number(text) for text in texts]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return [name, texts[0], texts[-1], "", "", ""]
    ends = [_short(text) for text in (texts[0], texts[-1])]
    return [name, *ends, _short(str(min(finite))), _short(str(max(finite))), sparkline(values)]


def _short(text: str) -> str:
    """As many digits as one looks at; `-o csv` and `-o json` have them all."""
    value = _number(text)
    return f"{value:.6g}" if math.isfinite(value) else text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _write_csv(reports: Sequence[dict[str, Any]]) -> None:
    names = _names(reports)
    writer = csv.writer(sys.stdout)
    writer.writerow(["time", "progress", *names])
    for report in reports:
        figures = [report["metrics"].get(name, "") for name in names]
        writer.writerow([report["time"], report.get("progressPercentage", ""), *figures])
