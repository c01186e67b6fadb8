"""Whether a task fits where it stands: all that it names is there, of a type that can be handed on, and nothing that
its component needs is missing. Constants get the type that the component gives them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.pipelines.domain.ir.model import (
    Constant,
    DagOutput,
    FinalStatus,
    FromInput,
    FromTask,
    Interface,
    ParamSource,
    ParamSpec,
    ParamType,
    Task,
)
from services.pipelines.domain.ir.problems import Problems
from services.pipelines.domain.ir.values import ValueTypeError, allowed, coerce, constant, whole

GIVEN_BY_PLATFORM = (ParamType.TASK_CONFIG,)
HANDS_ON = {
    ParamType.INTEGER: {ParamType.DOUBLE},
    ParamType.DOUBLE: {ParamType.INTEGER},
    ParamType.LIST: {ParamType.STRUCT},
    ParamType.STRUCT: {ParamType.LIST},
    ParamType.FINAL_STATUS: {ParamType.STRUCT},
}

PLACEHOLDER = "{{$"
LOOP_ITEM = re.compile(r"(-loop-item|loop-item-param-\d+)(-subvar-.+)?$")
"""KFP's compilers (2.17 too) let a task that stands outside a loop hand on items of that loop, which are nowhere yet.
Nobody misses them there: the loop has them from its own items."""


@dataclass(frozen=True, slots=True)
class Faces:
    """What every component takes and gives."""

    inputs: Mapping[str, Interface]
    outputs: Mapping[str, Interface]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The place where tasks stand: the interface of their graph, and each other."""

    faces: Faces
    inputs: Interface
    tasks: Mapping[str, Task]
    problems: Problems

    def wired(self, task: Task) -> Task:
        """The task with its constants typed; what does not fit is reported."""
        self._upstream(task)
        if task.component not in self.faces.inputs:
            self.problems.add(f"there is no component {task.component!r}", "componentRef", "name")
            return task
        takes = self.faces.inputs[task.component]
        with self.problems.at("inputs"):
            parameters = self._parameters(task, takes)
            self._artifacts(task)
            self._missing(task, takes)
        self._iterator(task, takes)
        self._condition(task, takes)
        return replace(task, parameters=parameters)

    def output(self, name: str, output: DagOutput, artifacts: bool) -> None:
        """Checks an output of the graph."""
        for producer in output.producers:
            self._producer(producer, artifacts, name)

    def _upstream(self, task: Task) -> None:
        for name in task.upstream:
            if name == task.name:
                self.problems.add("a task cannot wait for itself", "dependentTasks")
            elif name not in self.tasks:
                self.problems.add(f"there is no task {name!r} beside this one", "dependentTasks")

    def _parameters(self, task: Task, takes: Interface) -> dict[str, ParamSource]:
        """A task may be given more than its component takes: placeholders of its settings name it."""
        wired: dict[str, ParamSource] = {}
        for name, each in task.parameters.items():
            spec = takes.parameters.get(name)
            if (spec is None or LOOP_ITEM.search(name)) and not self._there(each):
                continue
            with self.problems.at("parameters", name):
                wired[name] = self._parameter(each, spec)
        return wired

    def _there(self, each: ParamSource) -> bool:
        match each.source:
            case FromInput(name):
                return name in self.inputs.parameters
            case FromTask(task, output) if task in self.tasks:
                gives = self.faces.outputs.get(self.tasks[task].component, Interface())
                return output in gives.parameters
        return True

    def _parameter(self, each: ParamSource, spec: ParamSpec | None) -> ParamSource:
        match each.source:
            case Constant(value):
                return replace(each, source=Constant(self._typed(value, each, spec)))
            case FromInput(name):
                source = self.inputs.parameters.get(name)
                if source is None:
                    self.problems.add(f"the graph that the task stands in has no parameter {name!r}")
                elif spec is not None:
                    self._handed(source.type, each, spec)
            case FromTask():
                type_ = self._producer(each.source, False)
                if type_ is not None and spec is not None:
                    self._handed(type_, each, spec)
            case FinalStatus():
                pass  # that the task is there is checked with the upstream
        return each

    def _typed(self, value: object, each: ParamSource, spec: ParamSpec | None) -> object:
        if spec is None or each.selector is not None or value is None or PLACEHOLDER in str(value):
            return whole(value)
        try:
            value = constant(coerce(value, spec.type) if isinstance(value, str) else value, spec.type)
            return allowed(value, spec)
        except ValueTypeError as error:
            self.problems.add(str(error))
            return value

    def _handed(self, given: ParamType, each: ParamSource, spec: ParamSpec) -> None:
        texts = ParamType.STRING in (given, spec.type)
        if each.selector or texts or given == spec.type or spec.type in HANDS_ON.get(given, ()):
            return
        self.problems.add(f"a {given} is handed on where a {spec.type} is needed")

    def _producer(self, source: FromTask, artifacts: bool, *at: str) -> ParamType | None:
        """The type of what another task gives; a problem if that task, or its output, is not there."""
        producer = self.tasks.get(source.task)
        if producer is None:
            self.problems.add(f"there is no task {source.task!r} here that could give {source.output!r}", *at)
            return None
        gives = self.faces.outputs.get(producer.component)
        if gives is None:
            return None  # reported at the producer
        known: Mapping[str, object] = gives.artifacts if artifacts else gives.parameters
        if source.output not in known:
            has = ", ".join(sorted(known)) or "none"
            self.problems.add(f"the task {source.task!r} gives no {source.output!r} (it gives: {has})", *at)
            return None
        if artifacts:
            return None
        return ParamType.LIST if producer.iterator else gives.parameters[source.output].type

    def _artifacts(self, task: Task) -> None:
        for name, source in task.artifacts.items():
            with self.problems.at("artifacts", name):
                if isinstance(source, FromTask):
                    self._producer(source, True)
                elif source.name not in self.inputs.artifacts:
                    self.problems.add(f"the graph that the task stands in has no artifact {source.name!r}")

    def _missing(self, task: Task, takes: Interface) -> None:
        item = task.iterator.item_input if task.iterator else ""
        given = {*task.parameters, *task.artifacts, item}
        for name, spec in takes.parameters.items():
            if (
                name not in given
                and not LOOP_ITEM.search(name)
                and not spec.optional
                and spec.type not in GIVEN_BY_PLATFORM
            ):
                self.problems.add(f"the component {task.component!r} needs it ({spec.type})", "parameters", name)
        for name, artifact in takes.artifacts.items():
            if name not in given and not artifact.optional:
                title = artifact.schema_title
                self.problems.add(f"the component {task.component!r} needs it ({title})", "artifacts", name)

    def _iterator(self, task: Task, takes: Interface) -> None:
        found = task.iterator
        if found is None:
            return
        field = "artifactIterator" if found.artifacts else "parameterIterator"
        known: Mapping[str, object] = takes.artifacts if found.artifacts else takes.parameters
        given: Mapping[str, object] = task.artifacts if found.artifacts else task.parameters
        if found.item_input not in known:
            message = f"the component {task.component!r} has no input {found.item_input!r}"
            self.problems.add(message, field, "itemInput")
        if found.items is None and found.items_input not in given:
            self.problems.add(f"the task is given no input {found.items_input!r}", field, "items")

    def _condition(self, task: Task, takes: Interface) -> None:
        for name in sorted(task.condition.inputs if task.condition else ()):
            if name not in task.parameters and name not in takes.parameters:
                self.problems.add(
                    f"it asks for the input {name!r}, which the task has not", "triggerPolicy", "condition"
                )
