"""What is going on, made again from the records: a machine that was not there knows as much as one that was."""

from collections import deque

from services.pipelines.domain.engine.book import Book, Within
from services.pipelines.domain.engine.halting import halted_graph, halted_loop, halting
from services.pipelines.domain.engine.open import Graph, Loop
from services.pipelines.domain.engine.progress import Progress
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.ir.model import ROOT


def restored(book: Book) -> Progress:
    """The counters of every graph and loop that is not over, the attempts that wait for their time, whatever was
    decided and not followed up; the next `settle` does that."""
    progress = Progress(book)
    progress.failing = any(record.state is State.FAILED for record in book.all.values())
    progress.halted_for, exits = halting(book), Within(book, lambda task: task.exits)
    for record in book.all.values():
        if record.over or record.waiting:
            continue
        halted = progress.halted_for is not None and not exits.holds(record.path)
        if halted:
            progress.halted.add(record.path)
        if record.kind is Kind.DAG:
            progress.watch_graph(halted_graph(book, record) if halted else _graph(book, record))
        elif record.kind is Kind.LOOP:
            progress.watch_loop(halted_loop(_loop(book, record)) if halted else _loop(book, record))
        elif record.retry_at is not None:
            progress.again_at(record)
    root = book.get(ROOT)
    if root is not None and root.over:
        progress.say_end()
    return progress


def _graph(book: Book, record: TaskRecord) -> Graph:
    graph = Graph.of(record.path, book.dag_of(record), book.given(record))
    for child in book.children(record):
        if child.over:
            graph.ended(child.name)
    return graph


def _loop(book: Book, record: TaskRecord) -> Loop:
    task = book.task_of(record)
    assert task is not None
    loop = Loop(record.path, task, book.component_of(record), record.inputs, book.items_of(record))
    begun = {child.iteration: child for child in book.children(record)}
    loop.waiting = deque(index for index in range(len(loop.items)) if index not in begun)
    loop.running = sum(not child.over for child in begun.values())
    return loop
