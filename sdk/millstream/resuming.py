"""A training loop that goes on where the last checkpoint left off, whatever ended it: kill, preemption, suspension.

    for step in steps(1000, {"model": model, "optimizer": optimizer}, every=100):
        train_one_step(step)

The same line runs outside of a TrainJob: without a place for checkpoints it is a plain loop from 0.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

from millstream import reporting
from millstream.checkpoints import Checkpoints

TERMINATED = 128 + signal.SIGTERM


class Stateful(Protocol):
    """What torch's modules, optimizers and schedulers are."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


def steps(
    total: int,
    state: Mapping[str, Stateful] | None = None,
    *,
    every: int = 100,
    checkpoints: Checkpoints | None = None,
) -> Iterator[int]:
    """Numbers of the steps still to do, 0 <= step < total; what `state` holds is restored first and saved on the way.

    A checkpoint is written after each `every` steps and after the last one. When the platform asks the pod to end
    (SIGTERM), the first rank finishes its step, saves, and ends the program with exit code 143; the other ranks keep
    going meanwhile, so that this step can be finished. Every rank's loop reports that it is alive.
    """
    if every < 1:
        raise ValueError(f"every={every}: a checkpoint comes after at least one step")
    kept = checkpoints or (Checkpoints() if state and os.environ.get("MILLSTREAM_CHECKPOINT_URI") else None)
    done = _restored(kept, state or {})
    with _Notice() as notice:
        _tell(done, total)
        while done < total:
            yield done
            done += 1
            _tell(done, total)
            if kept is not None and (done % every == 0 or done == total or notice.came):
                kept.save(done, {name: part.state_dict() for name, part in (state or {}).items()})
            if notice.came:
                _leave(kept)
    if kept is not None:
        kept.wait()


def _restored(checkpoints: Checkpoints | None, state: Mapping[str, Stateful]) -> int:
    found = checkpoints.restore() if checkpoints is not None else None
    if found is None:
        return 0
    for name, part in state.items():
        if name not in found.state:
            known = ", ".join(found.state)
            raise ValueError(f"the checkpoint of step {found.step} holds no {name!r} but {known}; begin a new job")
        part.load_state_dict(found.state[name])
    return found.step


def _tell(done: int, total: int) -> None:
    reporting.watch.alive()
    if reporting.is_heard():
        percent = {"progressPercentage": 100 * done // total} if total else {}
        reporting.reporter.note(percent, {}, {"step": done})


def _leave(checkpoints: Checkpoints | None) -> None:
    if checkpoints is not None:
        checkpoints.wait()
    raise SystemExit(TERMINATED)


class _Notice:
    """Whether this rank was asked to end; only the first one acts on it, and only a main thread can hear it."""

    came = False

    def __enter__(self) -> _Notice:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if reporting.rank() == 0:
            self.came = True
