"""One start of one container and what became of it, and how to remember it across lost records; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.base.clock import parse_rfc3339

Object = dict[str, Any]
SIGKILL, SIGTERM = 9, 15
EVER = datetime.min.replace(tzinfo=UTC)
UNSEEN, SHUT_DOWN = "ContainerStatusUnknown", "NodeShutdown"
"""The reason of an end that nobody saw, as the kubelet says it after a reboot, and of one with the whole platform."""


@dataclass(frozen=True)
class Exit:
    """How an attempt ended; `exit_code` is 128 + signal for a killed process."""

    exit_code: int
    signal: int | None
    reason: str
    message: str
    started_at: datetime
    finished_at: datetime

    @property
    def was_killed(self) -> bool:
        """By someone else's signal, or with everything here: that is not the program's own doing."""
        return self.was_lost or (self.signal in (SIGKILL, SIGTERM) and self.reason != "OOMKilled")

    @property
    def was_lost(self) -> bool:
        """It ended with all that ran here; nobody knows how it would have ended."""
        return self.reason in (UNSEEN, SHUT_DOWN)


@dataclass(frozen=True)
class Attempt:
    """`started_at` None means asked for but not yet seen running."""

    name: str
    number: int
    started_at: datetime | None = None
    exit: Exit | None = None

    @property
    def running(self) -> bool:
        return self.exit is None


Attempts = Mapping[str, tuple[Attempt, ...]]


def latest(attempts: Attempts, name: str) -> Attempt | None:
    """The newest attempt of a container."""
    known = attempts.get(name) or ()
    return known[-1] if known else None


def with_attempt(attempts: Attempts, new: Attempt) -> dict[str, tuple[Attempt, ...]]:
    """Records `new`, keeping the last two of each container; an exit is never undone by a late start."""
    known = {a.number: a for a in attempts.get(new.name) or ()}
    if (before := known.get(new.number)) and before.exit and not new.exit:
        return dict(attempts)
    known[new.number] = new
    kept = tuple(known[number] for number in sorted(known)[-2:])
    return {**attempts, new.name: kept}


def remembered(status: Object, records: Iterable[Attempt], now: datetime) -> dict[str, tuple[Attempt, ...]]:
    """The runtime's records, completed by what the pod's status says of attempts that the runtime has lost.

    A container that was running and is unknown to the runtime has ended unseen: ContainerStatusUnknown, as the kubelet
    says after a reboot. So no attempt is ever started a second time under the same number.
    """
    attempts: dict[str, tuple[Attempt, ...]] = {}
    known = list(records)
    recorded = {(record.name, record.number) for record in known}
    for told in [t for t in _told(status, now) if (t.name, t.number) not in recorded] + known:
        attempts = with_attempt(attempts, told)
    return attempts


def _told(status: Object, now: datetime) -> Iterable[Attempt]:
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        number = int(one.get("restartCount") or 0)
        for key, offset in (("lastState", -1), ("state", 0)):
            state = one.get(key) or {}
            if ended := state.get("terminated"):
                yield Attempt(one["name"], number + offset, parse_rfc3339(ended["startedAt"]), _exit(ended))
            elif running := state.get("running"):
                since = parse_rfc3339(running["startedAt"])
                lost = Exit(137, None, UNSEEN, "nobody saw how the container ended", since, now)
                yield Attempt(one["name"], number, since, lost)


def _exit(ended: Object) -> Exit:
    return Exit(
        int(ended["exitCode"]), ended.get("signal"), ended.get("reason") or "Error", ended.get("message") or "",
        parse_rfc3339(ended["startedAt"]), parse_rfc3339(ended["finishedAt"]),
    )  # fmt: skip


@dataclass(frozen=True)
class Backoff:
    """Waits between restarts: none before the first, then doubling; forgotten after a healthy run.

    Who was killed is back at once, and within seconds if that repeats: the wait is for programs that end by themselves.
    What ended with everything here waits for nothing when everything is back. A kubelet remembers in memory who backs
    off, so what ended before it began, at `since`, waits for nothing either, and counts for nothing.
    """

    first_s: float = 10.0
    most_s: float = 300.0
    forget_after_s: float = 120.0
    killed_first_s: float = 0.2
    killed_most_s: float = 5.0
    since: datetime = EVER

    def restart_at(self, history: Sequence[Attempt]) -> datetime:
        """When the attempt after the last of `history` (which has ended) may start."""
        last = history[-1]
        if last.exit is None:
            raise ValueError(f"attempt {last.number} of {last.name} has not ended")
        return last.exit.finished_at + timedelta(seconds=self._wait_after(history))

    def _wait_after(self, history: Sequence[Attempt]) -> float:
        """The wait before this attempt, doubled. Only the two ends are left to read it from when a node comes back."""
        last = history[-1]
        assert last.exit is not None
        began = last.exit.started_at
        ran_s = (last.exit.finished_at - began).total_seconds()
        if last.number == 0 or last.exit.was_lost or ran_s >= self.forget_after_s or last.exit.finished_at < self.since:
            return 0.0
        killed = last.exit.was_killed
        first, most = (self.killed_first_s, self.killed_most_s) if killed else (self.first_s, self.most_s)
        before = history[-2].exit if len(history) > 1 else None
        if before is None:
            return float(min(most, first * 2 ** min(last.number - 1, 30)))
        if before.finished_at < self.since:
            return first
        wait, waited_s = first, (began - before.finished_at).total_seconds()
        while wait <= waited_s and wait < most:
            wait *= 2
        return min(wait, most)

    def wait_s(self, failures: int) -> float:
        """Seconds before retry number `failures`, counted from one."""
        if failures < 1:
            return 0.0
        return float(min(self.first_s * 2 ** min(failures - 1, 30), self.most_s))
