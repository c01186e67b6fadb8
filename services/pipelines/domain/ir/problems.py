"""What is wrong with what somebody wrote: each problem names its field; all are found before anything is refused."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.base import MillstreamError

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is a path such as `root.dag.tasks.train.componentRef.name`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class SpecError(MillstreamError):
    """A pipeline or a run's parameters that cannot be taken; `problems` are all that were found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        told = [str(problem) for problem in self.problems[:MOST_TOLD]]
        left = len(self.problems) - len(told)
        super().__init__("; ".join(told) + (f"; and {left} more" if left else ""))


class Problems:
    """Collects problems with the path to the field that is being read."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._path: list[str] = []

    @contextmanager
    def at(self, *names: str) -> Iterator[None]:
        """Whatever is reported inside is reported below these names."""
        self._path.extend(names)
        yield
        del self._path[len(self._path) - len(names) :]

    def add(self, message: str, *names: str) -> None:
        self.found.append(Problem(".".join([*self._path, *names]).replace(".[", "["), message))

    def raise_any(self) -> None:
        if self.found:
            raise SpecError(self.found)
