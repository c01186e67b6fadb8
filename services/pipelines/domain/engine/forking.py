"""An earlier run whose finished steps stand in for those of a new one: a fork, or a step done again.

A step is kept if it has the same place, the same code and the same inputs, and does not come after one that is to run
anew. Nothing here knows where records are stored, and what is kept is never copied: the new task names the old one's
outputs as a cached one does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.pipelines.domain.engine.records import Artifact, Kind, State, TaskRecord, Values
from services.pipelines.domain.engine.words import Succeeded
from services.pipelines.domain.ir.model import ROOT, Component, Executor, Pipeline


class NoSuchStep(ValueError):
    """A path that is of no task of the pipeline."""


@dataclass(frozen=True)
class Earlier:
    """`pipeline` and `records` are the earlier run's, `anew` the paths of what is to run again, `after` what follows
    from it (`followers`)."""

    pipeline: Pipeline
    records: Mapping[str, TaskRecord]
    anew: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def is_anew(self, path: str) -> bool:
        """Whether somebody asked for just this, or for what it stands in."""
        return _inside(path, self.anew)

    def without(self, damage: Sequence[str]) -> "Earlier":
        """The same, but for what gave an artifact that one of these texts names."""
        if not damage:
            return self
        sound = {path: record for path, record in self.records.items() if not _is_named(record, damage)}
        return replace(self, records=sound)

    def kept(self, pipeline: Pipeline, record: TaskRecord) -> Succeeded | None:
        """What the step came to then, if it would do the same now."""
        old = self.records.get(record.path)
        if old is None or old.state is not State.SUCCEEDED or old.kind is not Kind.STEP:
            return None
        if self.is_anew(record.path) or _inside(record.path, self.after):
            return None
        if _code(self.pipeline, old) != _code(pipeline, record) or _content(old.inputs) != _content(record.inputs):
            return None
        return Succeeded(old.outputs, cached_from=old.cached_from or old.uid)


def paths_of(pipeline: Pipeline, steps: Iterable[str]) -> frozenset[str]:
    """The paths of steps as people name them, `train` or `for-loop-1/3/train`. Raises NoSuchStep."""
    found = frozenset(f"{ROOT}/{step.strip('/')}" for step in steps)
    followers(pipeline, found)
    return found


def followers(pipeline: Pipeline, paths: Iterable[str]) -> frozenset[str]:
    """All that comes after these: in their graph, and in the graphs around it. Raises NoSuchStep."""
    found: set[str] = set()
    for path in paths:
        component, at = pipeline.root, ROOT
        parts = path.split("/")[1:]
        while parts:
            name = parts.pop(0)
            task = component.dag.tasks.get(name) if component.dag else None
            if task is None:
                raise NoSuchStep(
                    f"{path.removeprefix(ROOT + '/')!r}: {at} has no task {name!r}; it has {_names(component)}"
                )
            found |= {f"{at}/{each}" for each in _after(component, name)}
            at = f"{at}/{name}"
            if task.iterator and parts and parts[0].isdigit():
                at = f"{at}/{parts.pop(0)}"
            component = pipeline.components[task.component]
    return frozenset(found)


def _after(component: Component, name: str) -> set[str]:
    assert component.dag is not None
    found: set[str] = set()
    left = [name]
    while left:
        more = set(component.dag.downstream[left.pop()]) - found
        found |= more
        left.extend(more)
    return found


def _is_named(record: TaskRecord, damage: Sequence[str]) -> bool:
    uris = [one.uri for many in record.outputs.artifacts.values() for one in many]
    return any(uri in told for uri in uris for told in damage)


def _names(component: Component) -> str:
    return ", ".join(component.dag.tasks) if component.dag else "none: it is a step"


def _inside(path: str, of: frozenset[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:length]) in of for length in range(1, len(parts) + 1))


def _code(pipeline: Pipeline, record: TaskRecord) -> tuple[Executor | None, object]:
    """What runs and what it promises; names of executors and components are the compiler's and mean nothing."""
    executor = pipeline.executor_of(record.component)
    return (replace(executor, name="") if executor else None), pipeline.components[record.component].outputs


def _content(inputs: Values) -> tuple[object, object]:
    return dict(inputs.parameters), {name: [_what(one) for one in many] for name, many in inputs.artifacts.items()}


def _what(artifact: Artifact) -> str:
    return artifact.digest or artifact.uri
