"""What an executor's kubernetes document takes from elsewhere becomes inputs of the tasks that it runs, as channels.

The document names inputs of the graph that a task stands in, and outputs of tasks beside it; a step's order sees only
the inputs of its own task.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from services.pipelines.domain.ir.model import FromInput, FromTask, ParamSource, Task

CHANNEL = "pipelinechannel--"

Sources = tuple[FromInput | FromTask, ...]


def by_component(spec: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Sources]:
    """Component -> what the document of its executor takes from elsewhere."""
    found: dict[str, Sources] = {}
    for name, component in spec.get("components", {}).items():
        document = documents.get(component.get("executorLabel", ""))
        if document:
            found[name] = tuple(dict.fromkeys(_sources(document)))
    return found


def given(task: Task, sources: Sources, inputs: Collection[str], beside: Collection[str]) -> Task:
    """The task with a channel for each of the sources that is there; the order will miss the others."""
    channels = {name: source for name, source in _channels(sources, inputs, beside) if name not in task.parameters}
    producers = [source.task for source in channels.values() if isinstance(source, FromTask)]
    return replace(
        task,
        parameters={**task.parameters, **{name: ParamSource(source) for name, source in channels.items()}},
        upstream=tuple(dict.fromkeys([*task.upstream, *producers])),
    )


def _sources(document: Any) -> Iterator[FromInput | FromTask]:
    if isinstance(document, Mapping):
        if name := document.get("componentInputParameter"):
            yield FromInput(name)
        if output := document.get("taskOutputParameter"):
            yield FromTask(output.get("producerTask", ""), output.get("outputParameterKey", ""))
    if isinstance(document, Mapping | list):
        for each in document.values() if isinstance(document, Mapping) else document:
            yield from _sources(each)


def _channels(
    sources: Sources, inputs: Collection[str], beside: Collection[str]
) -> Iterator[tuple[str, FromInput | FromTask]]:
    """In a graph inside another, what comes from outside is an input that is called as the channel itself."""
    for source in sources:
        if isinstance(source, FromTask):
            channel = f"{CHANNEL}{source.task}-{source.output}"
            if source.task in beside:
                yield channel, source
                continue
        else:
            channel = CHANNEL + source.name.removeprefix(CHANNEL)
            if source.name in inputs:
                yield channel, source
                continue
        if channel in inputs:
            yield channel, FromInput(channel)
