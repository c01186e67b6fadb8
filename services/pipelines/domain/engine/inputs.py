"""What a task is given, from where its pipeline says: the graph it stands in, tasks beside it, constants, defaults.

A value is brought to the type that the task's component declares, so that a whole number stays one on its way.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.pipelines.domain.engine.records import Artifact, State, TaskRecord, Values
from services.pipelines.domain.engine.words import DEADLINE, RunFacts
from services.pipelines.domain.ir.model import (
    ArtifactSpec,
    Component,
    Constant,
    FinalStatus,
    FromInput,
    FromTask,
    ParamSource,
    ParamType,
    Task,
)
from services.pipelines.domain.ir.selectors import SelectorError
from services.pipelines.domain.ir.values import ValueTypeError, allowed, coerce
from services.pipelines.domain.steps.placeholders import PlaceholderError, Scope

MISSING = object()
Beside = Callable[[str], TaskRecord | None]
"""The record of a task of the same graph, by its name."""
Facts = Callable[[], Mapping[str, str]]
"""What placeholders may say of the run and the task; asked for only where there is one."""


class InputError(ValueError):
    """An input that cannot be given; the task fails before anything of it runs."""


def resolve(task: Task, component: Component, given: Values, beside: Beside, run: RunFacts, facts: Facts) -> Values:
    """The task's inputs. `given` are those of its graph. InputError names the input that there is not."""
    parameters: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, source in task.parameters.items():
        value = _parameter(name, source, given, beside, run)
        if isinstance(source.source, Constant) and isinstance(value, str) and "{{$" in value:
            written[name] = value
        elif value is not MISSING and value is not None:
            parameters[name] = value
    if written:
        _fill_in(parameters, written, facts)
    _declared(task, component, parameters)
    artifacts = _artifacts(task, component, given, beside)
    return Values(parameters, artifacts)


def _parameter(name: str, wanted: ParamSource, given: Values, beside: Beside, run: RunFacts) -> Any:
    match wanted.source:
        case Constant(value):
            pass
        case FromInput(source):
            value = given.parameters.get(source, MISSING)
        case FromTask(producer, output):
            record = beside(producer)
            value = MISSING if record is None else record.outputs.parameters.get(output, MISSING)
        case FinalStatus(producer):
            value = final_status(producer, beside(producer), run)
    if wanted.selector is None or value is MISSING or value is None:
        return value
    try:
        return wanted.selector.pick(value)
    except SelectorError as error:
        raise InputError(f"input `{name}`: {error}") from None


def final_status(name: str, record: TaskRecord | None, run: RunFacts) -> dict[str, Any]:
    """KFP's PipelineTaskFinalStatus of a task that has ended."""
    state = State.SKIPPED if record is None else record.state
    error = record.error if record else None
    return {
        "state": _told(state, record),
        "error": {"code": error.code, "message": error.message} if error else {},
        "pipelineJobUuid": run.id,
        "pipelineJobName": run.name,
        "pipelineJobResourceName": run.id,
        "pipelineTaskName": name,
    }


def _told(state: State, record: TaskRecord | None) -> str:
    """A group whose run took too long was stopped, and has failed to whoever cleans up after it."""
    if state is not State.CANCELED:
        return str(state)
    return "FAILED" if record is not None and record.reason == DEADLINE else "CANCELLED"


def _fill_in(parameters: dict[str, Any], written: Mapping[str, str], facts: Facts) -> None:
    """Constants with placeholders, last: they speak of the other inputs."""
    scope = Scope(Values(dict(parameters)), facts())
    for name, text in written.items():
        try:
            parameters[name] = scope.value(text)
        except PlaceholderError as error:
            raise InputError(f"input `{name}`: {error}") from None


def _declared(task: Task, component: Component, parameters: dict[str, Any]) -> None:
    """Types of what is there, defaults of what is not."""
    item = task.iterator.item_input if task.iterator else ""
    for name, spec in component.inputs.parameters.items():
        if name in parameters:
            try:
                parameters[name] = allowed(coerce(parameters[name], spec.type), spec)
            except ValueTypeError as error:
                raise InputError(f"input `{name}`: {error}") from None
        elif spec.has_default:
            parameters[name] = spec.default
        elif not spec.optional and name != item and name in task.parameters and spec.type != ParamType.TASK_CONFIG:
            raise InputError(f"input `{name}` has no value: {_whence(task.parameters[name].source)}")


def _whence(source: object) -> str:
    if isinstance(source, FromTask):
        return f"the task `{source.task}` gave no `{source.output}`"
    return f"`{source.name}` was not given" if isinstance(source, FromInput) else "it is a constant without one"


def _artifacts(task: Task, component: Component, given: Values, beside: Beside) -> dict[str, tuple[Artifact, ...]]:
    found: dict[str, tuple[Artifact, ...]] = {}
    for name, source in task.artifacts.items():
        if isinstance(source, FromInput):
            artifacts = given.artifacts.get(source.name)
        else:
            record = beside(source.task)
            artifacts = None if record is None else record.outputs.artifacts.get(source.output)
        spec = component.inputs.artifacts.get(name)
        if artifacts is None:
            if spec is not None and not spec.optional:
                raise InputError(f"input `{name}` has no artifact: {_whence(source)}")
            continue
        if spec is not None and component.executor is not None and not task.iterator:
            _check_count(spec, artifacts)
        found[name] = artifacts
    return found


def _check_count(spec: ArtifactSpec, artifacts: tuple[Artifact, ...]) -> None:
    if not spec.is_list and len(artifacts) != 1:
        raise InputError(
            f"input `{spec.name}` takes one artifact and is given {len(artifacts)}: declare a list of them"
        )
