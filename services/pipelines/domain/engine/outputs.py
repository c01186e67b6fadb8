"""What a graph and a loop give when all in them has ended: outputs picked from tasks, or collected over iterations."""

from collections.abc import Iterable
from typing import Any

from services.pipelines.domain.engine.inputs import MISSING, Beside
from services.pipelines.domain.engine.records import Artifact, State, Values
from services.pipelines.domain.ir.model import Dag, DagOutput, Interface


def of_graph(dag: Dag, beside: Beside) -> Values:
    """An output whose producer did not run is not there: whoever needs it says so."""
    parameters: dict[str, Any] = {}
    for name, output in dag.parameters.items():
        value = _parameter(output, beside)
        if value is not MISSING:
            parameters[name] = value
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for name, output in dag.artifacts.items():
        found = _artifacts(output, beside)
        if found is not None:
            artifacts[name] = found
    return Values(parameters, artifacts)


def of_loop(gives: Interface, iterations: Iterable[Values]) -> Values:
    """Each parameter as the list of what the iterations gave, in their order (lists of inner loops stay lists in it);
    artifacts of inner and outer loops in one list. That is how KFP's Collected has them."""
    parameters: dict[str, list[Any]] = {name: [] for name in gives.parameters}
    artifacts: dict[str, list[Artifact]] = {name: [] for name in gives.artifacts}
    for each in iterations:
        for name, value in each.parameters.items():
            parameters.setdefault(name, []).append(value)
        for name, some in each.artifacts.items():
            artifacts.setdefault(name, []).extend(some)
    return Values(dict(parameters), {name: tuple(some) for name, some in artifacts.items()})


def _parameter(output: DagOutput, beside: Beside) -> Any:
    for producer in output.producers:
        record = beside(producer.task)
        if record is not None and record.state is State.SUCCEEDED and producer.output in record.outputs.parameters:
            return record.outputs.parameters[producer.output]
    return MISSING


def _artifacts(output: DagOutput, beside: Beside) -> tuple[Artifact, ...] | None:
    for producer in output.producers:
        record = beside(producer.task)
        if record is not None and record.state is State.SUCCEEDED and producer.output in record.outputs.artifacts:
            return record.outputs.artifacts[producer.output]
    return None
