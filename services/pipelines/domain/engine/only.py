"""Which tasks a run needs that is asked for some steps only: those, what they stand in, and all that comes before."""

from dataclasses import dataclass, field

from services.pipelines.domain.ir.model import Dag, Pipeline


@dataclass
class Only:
    """`paths` are those of the steps that are asked for; none means all of the run."""

    pipeline: Pipeline
    paths: frozenset[str]
    _known: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def wants(self, graph: str, dag: Dag, name: str) -> bool:
        """Whether the task `name` of the graph at this path is needed."""
        if not self.paths:
            return True
        if graph not in self._known:
            self._known[graph] = self._needed(graph, dag)
        needed = self._known[graph]
        return needed is None or name in needed

    def _needed(self, graph: str, dag: Dag) -> frozenset[str] | None:
        """The tasks of this graph that are needed; None for all."""
        inside = {path.removeprefix(f"{graph}/").split("/")[0] for path in self.paths if path.startswith(f"{graph}/")}
        if inside:
            return _before(dag, inside)
        if any(graph == path or graph.startswith(f"{path}/") for path in self.paths):
            return None
        return self._as_a_part(graph)

    def _as_a_part(self, graph: str) -> frozenset[str] | None:
        """A graph that holds none of the steps: it is needed whole if the task that it is comes before one; another
        iteration of a loop that holds one is not."""
        parent = graph.rpartition("/")[0]
        if not parent or (
            any(path.startswith(f"{parent}/") for path in self.paths) and graph.rpartition("/")[2].isdigit()
        ):
            return frozenset()
        return None


def _before(dag: Dag, names: set[str]) -> frozenset[str]:
    found, left = set(names), [name for name in names if name in dag.tasks]
    while left:
        more = set(dag.tasks[left.pop()].upstream) - found
        found |= more
        left.extend(more)
    return frozenset(found)
