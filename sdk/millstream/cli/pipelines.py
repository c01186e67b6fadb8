"""`millstream pipeline`: run a pipeline's file, look at runs, stop them and take them up again."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from millstream.cli import pipelinecache, pipelinelooks, pipelinemoves, pipelineresults
from millstream.cli.options import Home, Namespace, RunWord, connect
from millstream.cli.pipelineshow import (
    API,
    age,
    follow,
    print_error,
    print_outputs,
    print_questions,
    print_tasks,
    print_values,
    state,
    took,
)
from millstream.cli.show import BAD, out, plain_table
from millstream.errors import ClientError

if TYPE_CHECKING:
    from millstream.pipelines.files import Compiled
    from millstream.pipelines.inprocess import Place
    from services.pipelines.domain.engine.records import TaskRecord

app = typer.Typer(help="Run pipelines that are written with kfp, and look at their runs.", no_args_is_help=True)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A Python file with a @dsl.pipeline, or what kfp compiled from one")],
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="A run parameter, name=value")] = None,
    name: Annotated[str, typer.Option("--name", help="The run's name [the pipeline's and the time]")] = "",
    experiment: Annotated[str, typer.Option("--experiment", help="The experiment it belongs to")] = "Default",
    pipeline: Annotated[str, typer.Option("--pipeline", help="Which one, when the file defines several")] = "",
    python: Annotated[str, typer.Option("--python", help="The Python that has kfp, to compile a .py file")] = "",
    queue: Annotated[str, typer.Option("--queue", help="The LocalQueue in which its steps wait for quota")] = "",
    priority_class: Annotated[str, typer.Option("--priority-class", help="A WorkloadPriorityClass")] = "",
    timeout: Annotated[int | None, typer.Option("--timeout", min=1, help="Fail it after so many seconds")] = None,
    exit_timeout: Annotated[
        int | None, typer.Option("--exit-timeout", min=1, help="Seconds for its exit tasks when it is stopped [600]")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="After a failure begin nothing more")] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Reuse what earlier runs made")] = True,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run until it is over")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and why; run nothing")] = False,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run here, without the platform: debug it")] = False,
    pdb: Annotated[bool, typer.Option("--pdb", help="With --in-process: stop in the debugger where it fails")] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="With --in-process: where files are kept [a temporary one]")
    ] = None,
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """Run a pipeline without uploading it; Ctrl-C stops looking, not the run."""
    from millstream.pipelines import files, parameters, runs
    from millstream.pipelines.inprocess import Place

    compiled = files.read(file, pipeline, python)
    values = parameters.parameters(param or [], compiled.spec)
    if in_process:
        _run_here(compiled, values, Place(_folder(folder), files.interpreter(python), _source(file), pdb))
        return
    title = name or f"{compiled.name} {datetime.now():%Y-%m-%d %H-%M-%S}"
    options = runs.Options(queue, priority_class, timeout, exit_timeout, fail_fast or None, None if cache else False)
    with connect(home) as client:
        if dry_run:
            body = {"pipeline_spec": compiled.body, "runtime_config": {"parameters": values, **options.to_json()}}
            pipelinemoves.print_plan(client.request("POST", f"{API}/dry-run", json=body).json())
            return
        where = runs.experiment(client, experiment, namespace)
        made = runs.submit(client, title, compiled.body, values, where, options)
        out.print(f"run {made['run_id']} submitted: {title}", markup=False)
        if wait:
            follow(client, made["run_id"])


def _run_here(compiled: Compiled, values: dict[str, Any], place: Place) -> None:
    from millstream.pipelines import inprocess

    def tell(task: TaskRecord) -> None:
        if task.state != "PENDING":
            out.print(f"  {state({'state': str(task.state)})} {task.path.removeprefix('root/')}")

    end, tasks = inprocess.run(compiled, values, place, tell)
    out.print(f"{state({'state': str(end.state)})}; files in {place.folder}")
    if end.state == "SUCCEEDED":
        print_values(next(task for task in tasks if task.path == "root").to_json()["outputs"], "outputs")
    if end.error:
        out.print(end.error.message, style=BAD, markup=False)
    if end.state != "SUCCEEDED":
        sys.exit(1)


def _folder(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="millstream-pipeline-"))
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted


def _source(file: Path) -> Path | None:
    return file if file.suffix == ".py" else None


@app.command("list")
def list_runs(
    namespace: Namespace = "default",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first")] = 20,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json")] = "table",
    home: Home = None,
) -> None:
    """The newest runs."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.newest(client, namespace, limit)
    if output == "json":
        out.print_json(json.dumps(found))
    elif not found:
        out.print(f"no runs in {namespace}")
    else:
        now = datetime.now(UTC)
        rows = [[one["run_id"], escape(one["display_name"]), state(one), age(one, now), took(one)] for one in found]
        out.print(plain_table(["RUN", "NAME", "STATE", "AGE", "TOOK"], rows, whole="RUN"))


@app.command()
def show(
    word: RunWord,
    task: Annotated[str, typer.Argument(help="A task's name or path: its inputs, its outputs, its error")] = "",
    code: Annotated[bool, typer.Option("--code", help="Print the code that the task runs")] = False,
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="table or json")] = "table",
    home: Home = None,
) -> None:
    """One run and its tasks, or one of them with what it was given and gave."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, word, namespace)
        if code:
            pipelineresults.print_code(client, found, task)
        elif task:
            pipelineresults.print_tasks_named(client, found, task, output)
        elif output == "json":
            out.print_json(json.dumps(found))
        else:
            out.print(f"{escape(found['display_name'])}  {state(found)}  {took(found)}")
            print_tasks(found)
            print_questions(client, found)
            print_outputs(client, found)
            print_error(found)


@app.command()
def stop(word: RunWord, namespace: Namespace = "default", home: Home = None) -> None:
    """End a run; what is finished stays. Its exit tasks clean up first; told again while they do, they end too."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, word, namespace)
        if found.get("state") in runs.OVER:
            raise ClientError(f"run {found['run_id']} ({found['display_name']}) is over: {found['state']}")
        runs.act(client, found["run_id"], "terminate")
    out.print(f"run {found['run_id']} is being stopped", markup=False)


@app.command()
def retry(word: RunWord, namespace: Namespace = "default", home: Home = None) -> None:
    """Take a failed or stopped run up again from the tasks that did not succeed."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, word, namespace)
        runs.act(client, found["run_id"], "retry")
    out.print(f"run {found['run_id']} goes on from where it failed", markup=False)


@app.command()
def delete(
    run_id: Annotated[str, typer.Argument(help="The run's id; `millstream pipeline list` shows it")],
    home: Home = None,
) -> None:
    """Delete a run, ended first if it still goes on; what its steps left in the cache stays there."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.get(client, run_id)
        client.request("DELETE", f"{runs.API}/runs/{run_id}")
        goes_on = runs.is_there(client, run_id)
    told = (
        "is stopped, and goes when its exit tasks have ended; delete it again to end them" if goes_on else "is deleted"
    )
    out.print(f"run {run_id} ({found['display_name']}) {told}", markup=False)


for command in (*pipelineresults.COMMANDS, *pipelinelooks.COMMANDS, *pipelinemoves.COMMANDS):
    app.command()(command)
for title, shared in pipelinecache.COMMANDS.items():
    app.command(title)(shared)
