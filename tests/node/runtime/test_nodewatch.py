"""How soon the spawner brings a vanished node back, on a clock that the test moves."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.node.runtime.paths import HomePaths
from services.node.runtime.spawner.nodewatch import NodeWatch


class Timers:
    """The part of the spawner's loop that the watch uses."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((self.time + seconds, act))

    def pass_by(self, seconds: float) -> None:
        end = self.time + seconds
        while self._due and min(at for at, _ in self._due) <= end:
            self._next()
        self.time = end

    def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._next()

    def _next(self) -> None:
        self._due.sort(key=lambda due: due[0])
        self.time, act = self._due.pop(0)
        act()


class Watch(NodeWatch):
    """One whose node is only said to live."""

    lives = True
    starts = 0

    def alive(self) -> bool:
        return self.lives

    def _start(self, command: dict[str, Any]) -> None:
        self.starts, self.lives = self.starts + 1, True


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def watch(timers: Timers, tmp_path: Path) -> Watch:
    paths = HomePaths(tmp_path)
    paths.make()
    return Watch(timers, paths)  # type: ignore[arg-type]


def _wait_after_life(watch: Watch, timers: Timers, seconds: float) -> float:
    """Lets the node live for `seconds`, kills it, and answers after how long another was started."""
    watch.connected(os.getpid(), {"argv": ["node"], "cwd": "/", "env": {}})
    timers.pass_by(seconds)
    watch.lives = False
    watch.lost()
    before, starts = timers.now(), watch.starts
    timers.until(lambda: watch.starts > starts)
    return round(timers.now() - before, 3)


def test_a_killed_node_is_back_at_once_and_one_that_keeps_dying_ever_later(watch: Watch, timers: Timers) -> None:
    assert [_wait_after_life(watch, timers, 1) for _ in range(5)] == [0.3, 0.3, 0.6, 1.2, 2.4]


def test_a_good_while_forgives(watch: Watch, timers: Timers) -> None:
    waits = [_wait_after_life(watch, timers, lived) for lived in (60, 1, 1, 11, 1)]
    assert waits == [0.3, 0.3, 0.6, 0.3, 0.3]


def test_a_node_that_lives_although_its_line_is_gone_is_not_started_twice(watch: Watch, timers: Timers) -> None:
    watch.connected(os.getpid(), {"argv": ["node"], "cwd": "/", "env": {}})
    watch.lost()
    timers.until(lambda: timers.now() > 5)
    assert watch.starts == 0
