"""Runs a pipeline on this machine without the platform: the same engine decides, and one process of the user's own
interpreter calls the functions one after another, so that a debugger works in them. Nothing is kept but the files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from millstream.errors import ClientError
from millstream.pipelines import _interpreter
from millstream.pipelines.files import Compiled

if TYPE_CHECKING:
    from services.pipelines.domain.engine.machine import Machine
    from services.pipelines.domain.engine.records import TaskRecord
    from services.pipelines.domain.engine.words import End, Failed, RunFacts, Succeeded
    from services.pipelines.domain.ir.model import Pipeline
    from services.pipelines.domain.steps.values import StepOrder, StepResult

NAMESPACE = "default"
NAMED = "--function_to_execute"
Tell = Callable[["TaskRecord"], None]


@dataclass(frozen=True)
class Place:
    """Where it runs: `folder` takes all files, `python` is the interpreter with kfp, `source` the user's file if there
    is one; `debug` stops where a function fails."""

    folder: Path
    python: str
    source: Path | None = None
    debug: bool = False


def run(compiled: Compiled, parameters: Mapping[str, Any], place: Place, tell: Tell) -> tuple[End, list[TaskRecord]]:
    """How it ended and all its tasks. Raises ClientError for a pipeline that is wrong, or that needs more than this."""
    from services.pipelines.adapters.spec import canonical
    from services.pipelines.domain.engine.words import RunFacts
    from services.pipelines.domain.ir.problems import SpecError
    from services.pipelines.domain.ir.reading import read
    from services.pipelines.domain.ir.values import run_parameters

    try:
        pipeline = read(*canonical(compiled.body))
        values = run_parameters(pipeline.root, parameters)
    except SpecError as error:
        raise ClientError(str(error)) from error
    _check(pipeline)
    root = str(place.folder.resolve() / "outputs")
    facts = RunFacts(str(uuid4()), NAMESPACE, compiled.name, root, values, datetime.now(UTC))
    return _drive(pipeline, facts, place, tell)


def _check(pipeline: Pipeline) -> None:
    """Only Python functions, and approvals: a container's program wants its image."""
    from services.pipelines.domain.gates import is_gate
    from services.pipelines.domain.ir.model import ContainerExecutor

    for executor in pipeline.executors.values():
        if isinstance(executor, ContainerExecutor) and NAMED not in executor.args and not is_gate(executor.image):
            raise ClientError(
                f"{executor.name}: a container component needs its image {executor.image!r}; run without --in-process"
            )


def _drive(pipeline: Pipeline, facts: RunFacts, place: Place, tell: Tell) -> tuple[End, list[TaskRecord]]:
    """Ctrl-C ends all but exit tasks, which get a process of their own; once more ends those, too."""
    from services.pipelines.domain.engine.machine import Machine
    from services.pipelines.domain.engine.records import TaskRecord
    from services.pipelines.domain.engine.words import Terminate

    machine, waiting = Machine.load(pipeline, facts, ()), deque[TaskRecord]()
    while True:
        with _caller(place) as caller:
            try:
                return _to_end(machine, waiting, partial(_outcome, pipeline, facts, caller), tell)
            except KeyboardInterrupt:
                machine.tell(Terminate("ended by Ctrl-C"))


def _to_end(
    machine: Machine, waiting: deque[TaskRecord], outcome: Callable[[TaskRecord], Succeeded | Failed], tell: Tell
) -> tuple[End, list[TaskRecord]]:
    from services.pipelines.domain.engine.records import Kind, State
    from services.pipelines.domain.engine.words import End, Start, StepEnded, Stop

    while True:
        for decision in machine.advance(datetime.now(UTC)):
            if isinstance(decision, Start):
                waiting.append(decision.record)
            elif isinstance(decision, Stop):
                _leave_out(waiting, decision.record.path)
            elif isinstance(decision, End):
                return decision, machine.records
            elif decision.record.kind in (Kind.STEP, Kind.IMPORTER):
                tell(decision.record)
        if not waiting:
            _sleep(machine)
            continue
        record = waiting.popleft()
        tell(replace(record, state=State.RUNNING))
        machine.tell(StepEnded(record.path, record.attempt, outcome(record)))


def _leave_out(waiting: deque[TaskRecord], path: str) -> None:
    for one in [one for one in waiting if one.path == path]:
        waiting.remove(one)


def _sleep(machine: Machine) -> None:
    due = machine.due()
    if due is None:
        raise ClientError("the pipeline waits for something that does not come: please report this")
    time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))


def _outcome(pipeline: Pipeline, facts: RunFacts, caller: Caller, record: TaskRecord) -> Succeeded | Failed:
    from services.pipelines.domain.codes import INVALID_ARGUMENT
    from services.pipelines.domain.engine.records import Error, Kind
    from services.pipelines.domain.engine.words import Failed
    from services.pipelines.domain.gates import is_gate
    from services.pipelines.domain.importing import imported
    from services.pipelines.domain.steps import results
    from services.pipelines.domain.steps.order import order

    if record.kind is Kind.IMPORTER:
        return imported(pipeline, record, facts.namespace, "")
    try:
        made = order(pipeline, record, facts)
    except ValueError as error:
        return Failed(Error(str(error), INVALID_ARGUMENT, "BadTask"), final=True)
    return results.outcome(made, asked(made) if is_gate(made.image) else caller.call(made))


def asked(order: StepOrder, ask: Callable[[str], str] = input) -> StepResult:
    """What the person at the terminal decides about a step that waits for approval; nobody there approves nothing."""
    from services.pipelines.domain.gates import decided

    question = " ".join(order.command[1:])
    try:
        answer = ask(f"{order.name}: {question} Approve? [y/N] ")
    except EOFError:
        return decided(order, False, getuser(), "no terminal to ask at")
    return decided(order, answer.strip().lower() in ("y", "yes"), getuser(), "")


class Caller:
    """The process with the user's functions, over a pair of pipes."""

    def __init__(self, process: subprocess.Popen[bytes], orders: IO[str], answers: IO[str], folder: Path) -> None:
        self._process, self._orders, self._answers, self._folder = process, orders, answers, folder

    def call(self, order: StepOrder) -> Any:
        from services.pipelines.domain.steps.values import StepResult, StoredArtifact

        folder = self._folder / "steps" / order.uid / str(order.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        for slot in order.artifacts:
            Path(slot.uri).parent.mkdir(parents=True, exist_ok=True)
        name = order.command[order.command.index(NAMED) + 1]
        answer = self._ask(
            {
                "function": name,
                "source": _source(order.command, name),
                "folder": str(folder),
                "env": dict(order.env),
                "executor_input": _at(folder, order.executor_input),
            }
        )
        if not answer["ok"]:
            return StepResult(False, 1, answer["error"])
        output = answer["output"]
        artifacts = {
            name: tuple(
                StoredArtifact(one.get("name") or name, one["uri"], metadata=one.get("metadata") or {}) for one in many
            )
            for name, found in (output.get("artifacts") or {}).items()
            if (many := found.get("artifacts") or [])
        }
        return StepResult(True, values=output.get("parameterValues") or {}, artifacts=artifacts)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with suppress(BrokenPipeError):
            self._orders.write(json.dumps(request) + "\n")
            self._orders.flush()
        line = self._answers.readline()
        if not line:
            status = self._process.wait()
            if status in (_interpreter.INTERRUPTED, -signal.SIGINT):
                raise KeyboardInterrupt
            raise ClientError(f"{request['function']} ended the Python process with {status}; the run ends here")
        return dict(json.loads(line))


def _source(command: Sequence[str], name: str) -> str:
    """The program that kfp compiled: the word of the command that defines the function."""
    words = [word for word in command if re.search(rf"^(async )?def {re.escape(name)}\(", word, re.MULTILINE)]
    if not words:
        raise ClientError(f"the compiled program of {name} does not define it; run without --in-process")
    return words[-1]


def _at(folder: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """The executor's input with its own files in this step's folder: there is no pod whose root they could be at."""
    outputs = told["outputs"]
    parameters = {name: {"outputFile": str(folder / f"parameter-{name}")} for name in outputs["parameters"]}
    return {**told, "outputs": {**outputs, "parameters": parameters, "outputFile": str(folder / "output.json")}}


@contextmanager
def _caller(place: Place) -> Iterator[Caller]:
    """Ctrl-C and the terminal are the functions' as long as they run."""
    read_orders, write_orders = os.pipe()
    read_answers, write_answers = os.pipe()
    source = [str(place.source)] if place.source else []
    fds = [str(read_orders), str(write_answers)]
    command = [place.python, _interpreter.__file__, "call", *fds, str(int(place.debug)), *source]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            command, pass_fds=(read_orders, write_answers), preexec_fn=lambda: signal.signal(signal.SIGINT, before)
        )
        os.close(read_orders)
        os.close(write_answers)
        with os.fdopen(write_orders, "w") as orders, os.fdopen(read_answers) as answers:
            yield Caller(process, orders, answers, place.folder)
        process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
