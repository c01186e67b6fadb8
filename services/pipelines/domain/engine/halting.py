"""A run that a person stops, or whose time is up: all ends but its exit tasks, which clean up first; pure.

While they do, the run's own record is CANCELING and says why. All else follows from the records, so that a machine that
is loaded meanwhile goes on in the same way.
"""

from collections.abc import Iterator
from datetime import datetime

from services.pipelines.domain.engine.book import Book, Within
from services.pipelines.domain.engine.open import NEVER, Graph, Loop
from services.pipelines.domain.engine.records import Error, Kind, State, TaskRecord
from services.pipelines.domain.engine.words import DEADLINE, Stop
from services.pipelines.domain.ir.model import ROOT


def halting(book: Book) -> Error | None:
    """Why the run is about to end, while its exit tasks clean up."""
    root = book.get(ROOT)
    return root.error if root is not None and root.state is State.CANCELING else None


def since(book: Book) -> datetime:
    """When it was halted."""
    return next(at for state, at in reversed(book.all[ROOT].history) if state is State.CANCELING)


def halt(book: Book, error: Error) -> None:
    """Ends what goes on, inner tasks before what they stand in; exit tasks that are due, and all around them, stay."""
    root = book.get(ROOT)
    if root is None or root.over:
        return
    kept = _kept(book)
    _end_all(book, error, kept)
    if kept:
        book.change(root, State.CANCELING, error=error, reason=error.reason)
    else:
        _end_run(book, error)


def give_up(book: Book) -> None:
    """Ends the exit tasks of a run that is halted, too."""
    error = halting(book)
    assert error is not None
    _end_all(book, error, set())
    _end_run(book, error)


def outcome(error: Error) -> State:
    """What a run comes to that was halted for this."""
    return State.FAILED if error.reason == DEADLINE else State.CANCELED


def due(book: Book, graph: TaskRecord) -> Iterator[str]:
    """The exit tasks of a graph that are still to run: those of what has begun."""
    for name, task in book.dag_of(graph).tasks.items():
        if task.exits and book.get(f"{graph.path}/{name}") is None:
            before = (book.get(f"{graph.path}/{each}") for each in task.upstream)
            if any(record is not None and record.started_at is not None for record in before):
                yield name


def halted_graph(book: Book, record: TaskRecord) -> Graph:
    """Only what is open in it counts, and its exit tasks that are due."""
    graph = Graph.of(record.path, book.dag_of(record), book.given(record))
    wanted = set(due(book, record))
    open_ = wanted | {child.name for child in book.children(record) if not child.over}
    tasks = graph.dag.tasks
    graph.left = {
        name: sum(each in open_ for each in tasks[name].upstream) if name in wanted else NEVER for name in tasks
    }
    graph.open = len(open_)
    return graph


def halted_loop(loop: Loop) -> Loop:
    """No more iterations begin."""
    loop.waiting.clear()
    return loop


def _kept(book: Book) -> set[str]:
    """The paths of exit tasks that go on or are due, and of all that they stand in."""
    exits, kept = Within(book, lambda task: task.exits), set[str]()
    for record in book.all.values():
        if record.over or record.waiting:
            continue
        if exits.holds(record.path):
            _keep(book, record.path, kept)
        elif record.kind is Kind.DAG:
            for name in due(book, record):
                _keep(book, record.path, kept)
                kept.add(f"{record.path}/{name}")
    if kept:  # what waits anew inside of an exit task is begun by it, or swept up at the end
        kept |= {record.path for record in book.all.values() if record.waiting and exits.holds(record.path)}
    return kept


def _keep(book: Book, path: str, kept: set[str]) -> None:
    while path and path not in kept:
        kept.add(path)
        path = book.all[path].parent


def _end_all(book: Book, error: Error, kept: set[str]) -> None:
    going_on = [record for record in book.all.values() if record.parent and not record.over and record.path not in kept]
    for record in sorted(going_on, key=lambda record: -record.path.count("/")):
        told = {"error": error} if record.kind in (Kind.DAG, Kind.LOOP) and not record.waiting else {}
        canceled = book.change(record, State.CANCELED, reason=error.reason, waiting=False, **told)
        if record.active:
            book.out.append(Stop(canceled))


def _end_run(book: Book, error: Error) -> None:
    book.change(book.all[ROOT], outcome(error), error=error, reason=error.reason)
