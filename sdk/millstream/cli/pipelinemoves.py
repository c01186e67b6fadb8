"""`millstream pipeline fork|approve|reject`: a run that takes up what another did, and words to one that waits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape

from millstream.cli.options import Home, Namespace, RunWord, connect
from millstream.cli.pipelineshow import API, follow
from millstream.cli.show import BAD, BUSY, GOOD, out, plain_table

COLOURS = {"run": BUSY, "reuse": GOOD, "fail": BAD}
TaskWord = Annotated[str, typer.Argument(help="The task's path, as `millstream pipeline show` draws it")]


def fork(
    run: RunWord,
    steps: Annotated[list[str] | None, typer.Argument(help="Steps to run again, with all that follows")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="A changed parameter, name=value")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="The changed pipeline: a .py or .yaml file")] = None,
    python: Annotated[str, typer.Option("--python", help="The Python that has kfp, to compile a .py file")] = "",
    only: Annotated[bool, typer.Option("--only", help="Run these steps alone, with the inputs they had")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and why; run nothing")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the new run until it is over")] = True,
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """A new run that keeps what an earlier one did, where code and inputs are the same."""
    from millstream.pipelines import files, parameters, runs

    with connect(home) as client:
        old = runs.find(client, run, namespace)
        compiled = files.read(file, python=python) if file else None
        spec = compiled.spec if compiled else runs.spec_of(client, old)
        values = parameters.parameters(param or [], spec, partly=True)
        body: dict[str, Any] = {"steps": steps or [], "only": only, "runtime_config": {"parameters": values}}
        body |= {"pipeline_spec": compiled.body} if compiled else {}
        made = client.request("POST", f"{API}/runs/{old['run_id']}:fork", json={**body, "dry_run": dry_run}).json()
        if dry_run:
            print_plan(made)
            return
        out.print(f"run {made['run_id']} submitted: {made['display_name']}", markup=False)
        if wait:
            follow(client, made["run_id"])


def approve(
    run: RunWord,
    task: TaskWord,
    comment: Annotated[str, typer.Option("--comment", "-m", help="A word for the record")] = "",
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """Let a task pass that waits for a person."""
    _decide(run, task, "approve", comment, namespace, home)


def reject(
    run: RunWord,
    task: TaskWord,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why not")] = "",
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """Fail a task that waits for a person."""
    _decide(run, task, "reject", comment, namespace, home)


def _decide(word: str, task: str, verb: str, comment: str, namespace: str, home: Path | None) -> None:
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, word, namespace)
        path = f"{API}/runs/{found['run_id']}/tasks/{quote(task)}:{verb}"
        client.request("POST", path, json={"comment": comment})
    out.print(f"{task} of run {found['run_id']}: {'approved' if verb == 'approve' else 'rejected'}", markup=False)


def print_plan(told: dict[str, Any]) -> None:
    rows = [
        [escape(one["path"]), f"[{COLOURS.get(one['decision'], 'dim')}]{one['decision']}[/]", escape(one["reason"])]
        for one in told["tasks"]
    ]
    out.print(plain_table(["TASK", "WOULD", "WHY"], rows) if rows else "nothing would run")


COMMANDS = (fork, approve, reject)
