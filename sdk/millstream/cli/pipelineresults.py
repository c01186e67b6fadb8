"""`millstream pipeline logs|download`, `show RUN TASK`: what a task was given, gave and printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
from rich.markup import escape

from millstream.cli import pipelinefollow
from millstream.cli.options import Home, Namespace, RunWord, connect
from millstream.cli.pipelinecode import code
from millstream.cli.pipelineprelude import folded
from millstream.cli.pipelineshow import API, Record, print_values, state, took
from millstream.cli.show import BAD, out
from millstream.errors import ClientError, NotThere

if TYPE_CHECKING:
    from millstream.client import Client

NAMES_MAX = 20


def logs(
    run: RunWord,
    task: Annotated[str, typer.Argument(help="A task's or a group's name or path; all tasks if left out")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until its steps have ended")] = False,
    all: Annotated[bool, typer.Option("--all", help="Also what kfp's executor prints before a step begins")] = False,
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """What the run's steps printed, also when their pods are long gone."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, run, namespace)
        if follow:
            return pipelinefollow.follow(client, found["run_id"], task, whole=all)
        tasks = runs.records(client, found["run_id"])
        chosen = steps(tasks, task)
        for one in chosen:
            if len(chosen) > 1:
                out.print(f"[bold]{escape(short(one))}[/]")
            lines = enumerate(_log(client, found["run_id"], one).splitlines(keepends=True))
            print("".join(line for _, line in (lines if all else folded(lines))), end="", flush=True)


def download(
    artifact: Annotated[str, typer.Argument(help="An artifact's id; `millstream pipeline artifacts RUN` lists them")],
    to: Annotated[Path | None, typer.Option("--to", help="The file [its name here; a folder comes as .tar]")] = None,
    home: Home = None,
) -> None:
    """Bring what a step made into a file here."""
    with connect(home) as client:
        told = client.request("GET", f"/apis/v2beta1/artifacts/{artifact}", params={"view": "DOWNLOAD"}).json()
        link = urlsplit(told["download_url"])
        with client.http.stream("GET", f"{link.path}?{link.query}") as answer:
            if answer.status_code != 200:
                raise ClientError(f"{told['uri']} cannot be read: {answer.read().decode(errors='replace')}")
            title = Path(unquote(answer.headers["content-disposition"].partition("''")[2])).name
            _write(answer, to or Path(title), "wb" if to else "xb")


def _write(answer: Any, target: Path, mode: str) -> None:
    try:
        with target.open(mode) as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
    except OSError as error:
        raise ClientError(f"cannot write {target}: {error.strerror}; choose another with --to") from error
    out.print(f"{target}: {target.stat().st_size} bytes", markup=False)


def print_tasks_named(client: Client, run: Record, word: str, output: str) -> None:
    """Everything about the tasks that are called so."""
    from millstream.pipelines import runs

    chosen = named(runs.records(client, run["run_id"]), word)
    if output == "json":
        out.print_json(json.dumps(chosen))
        return
    for one in chosen:
        times = {"start_time": one["started_at"], "end_time": one["ended_at"]}
        attempt = f"  attempt {one['attempt']}" if one["attempt"] > 1 else ""
        out.print(f"[bold]{escape(short(one))}[/]  {state(one)}  {took(times)}{attempt}".rstrip())
        for title in ("inputs", "outputs"):
            print_values(one[title], title)
        for each in one.get("tries", ()):
            out.print(f"attempt {each['attempt']} failed\n  {each['error']['message']}", markup=False)
        if one.get("waits"):
            out.print(f"waits\n  {one['waits']}", style=BAD, markup=False)
        if one["cache"]:
            out.print(f"cache\n  {one['cache']}", markup=False)
        if one["error"]:
            out.print(str(one["error"]["message"]), style=BAD, markup=False)


def print_code(client: Client, run: Record, word: str) -> None:
    """What the tasks that are called so run; once, however often it ran."""
    from millstream.pipelines import runs

    if not word:
        raise ClientError("--code prints what one task runs: name it, as in `millstream pipeline show RUN TASK --code`")
    for text in dict.fromkeys(code(run, one) for one in named(runs.records(client, run["run_id"]), word)):
        out.print(text, markup=False)


def steps(tasks: list[Record], word: str) -> list[Record]:
    """Those of this name, and those in groups of this name; raises as `named`."""
    meant = tuple(f"{one['path']}/" for one in named(tasks, word))
    return [one for one in tasks if one["kind"] == "step" and f"{one['path']}/".startswith(meant)]


def named(tasks: list[Record], word: str) -> list[Record]:
    """Those of this name or path, written as either command prints it; all for an empty word. Raises ClientError when
    there is none."""
    drawn: dict[str, str] = {}
    for one in sorted(tasks, key=lambda task: str(task["path"]).count("/")):
        drawn[one["path"]] = f"{drawn.get(one['parent'], '')}/{one['display_name']}".removeprefix("/")
    chosen = [one for one in tasks if word in ("", short(one), drawn[one["path"]], one["name"], one["display_name"])]
    if not chosen and word:
        names = [short(one) for one in tasks]
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        there = ", ".join(names[:NAMES_MAX]) + more or "none yet"
        raise ClientError(f"no task of the run is called {word!r}; there are {there}")
    return chosen


def short(task: Record) -> str:
    return str(task["path"]).removeprefix("root/")


def _log(client: Client, run_id: str, task: Record) -> str:
    if not task["started_at"] and not task["cached_from"]:
        return f"(did not run: {task['state']})\n"
    try:
        text: str = client.request("GET", f"{API}/runs/{run_id}/tasks/{task['uid']}/log").text
    except NotThere:
        return f"(nothing is kept of what it printed: {task['state']})\n"
    return text if text.endswith("\n") or not text else f"{text}\n"


COMMANDS = (logs, download)
