"""A failed or canceled run taken up again: what succeeded stays; what did not, and all after it, waits anew, and so
does what gave an artifact whose bytes turned out to be damaged."""

from collections.abc import Iterable

from services.pipelines.domain.engine.book import Book
from services.pipelines.domain.engine.records import DAMAGED, Kind, State, TaskRecord, Try, Values
from services.pipelines.domain.ir.model import ROOT

UNDONE = (State.FAILED, State.CANCELED)


def take_up(book: Book) -> bool:
    """Changes the records of a run that is over and did not succeed; False for any other, which is left as it is."""
    root = book.get(ROOT)
    if root is None or root.state not in UNDONE:
        return False
    _resume(book, root, damaged(book.all.values()))
    return True


def damaged(records: Iterable[TaskRecord]) -> frozenset[str]:
    """The URIs of inputs for whose sake tasks have failed."""
    failed = [one for one in records if one.error is not None and one.error.reason == DAMAGED]
    given = [(one, each) for one in failed for many in one.inputs.artifacts.values() for each in many]
    return frozenset(each.uri for one, each in given if one.error is not None and each.uri in one.error.message)


def damage(records: Iterable[TaskRecord]) -> list[str]:
    """What was said of damaged inputs, before retries too; each names the URI."""
    errors = (error for one in records for error in (one.error, *(error for _, _, error in one.tries)))
    return [error.message for error in errors if error is not None and error.reason == DAMAGED]


def _resume(book: Book, record: TaskRecord, bad: frozenset[str]) -> None:
    """A graph or a loop goes on; what is inside and has succeeded is kept."""
    children, tries = book.children(record), _tries(record)
    book.change(record, State.RUNNING, ended_at=None, tries=tries, error=None, reason="Retry", started_at=book.now)
    if record.kind is Kind.LOOP:
        for child in children:
            if child.state in UNDONE:
                _take_up_one(book, child, bad)
    else:
        _resume_graph(book, record, children, bad)


def _resume_graph(book: Book, record: TaskRecord, children: list[TaskRecord], bad: frozenset[str]) -> None:
    """Whatever comes after a task that is done anew is done anew too, exit tasks as well: its inputs may be others."""
    tasks = book.dag_of(record).tasks
    anew: set[str] = set()
    for child in children:
        if not anew.isdisjoint(tasks[child.name].upstream):
            _forget(book, child)
        elif child.state in UNDONE:
            _take_up_one(book, child, bad)
        elif child.outputs.names(bad) or child.reason == "FailFast":
            _forget(book, child)
        else:
            continue
        anew.add(child.name)


def _take_up_one(book: Book, record: TaskRecord, bad: frozenset[str]) -> None:
    if record.kind in (Kind.DAG, Kind.LOOP) and record.started_at is not None:
        _resume(book, record, bad)
    else:
        _forget(book, record)


def _forget(book: Book, record: TaskRecord) -> None:
    """It waits for its upstream again, and all that is inside with it."""
    for child in book.children(record):
        _forget(book, child)
    book.change(
        record,
        State.PENDING,
        waiting=True,
        failures=0,
        losses=0,
        outputs=Values(),
        error=None,
        reason="Retry",
        cached_from="",
        started_at=None,
        ended_at=None,
        retry_at=None,
        tries=_tries(record),
    )


def _tries(record: TaskRecord) -> tuple[Try, ...]:
    """Whoever failed keeps why, though he begins anew."""
    if record.error is None or record.ended_at is None:
        return record.tries
    return record.tried(record.ended_at, record.error)
