"""What happens by the clock alone: the end of a back-off, pods not ready in time, a run that takes too long."""

from heapq import heappop, heappush

from services.scheduler.domain.model import Reason, Rules, Workload


class Deadlines:
    """Times told once per change of a workload; those of an earlier state of it are dropped when they come up."""

    def __init__(self) -> None:
        self._due: list[tuple[int, str, Reason]] = []
        self._back: list[tuple[int, str]] = []
        self._current: dict[str, set[tuple[int, Reason]]] = {}
        self._until: dict[str, int] = {}
        self._passed: dict[str, int] = {}

    def watch(self, workload: Workload, rules: Rules) -> None:
        times = _times(workload, rules)
        if times:
            self._current[workload.uid] = set(times)
        for at, reason in times:
            heappush(self._due, (at, workload.uid, reason))

    def hold_back(self, workload: Workload) -> bool:
        """True while its back-off lasts, as far as told by `back`."""
        until = workload.requeue_at
        if until <= self._passed.get(workload.uid, 0):
            return False
        self._until[workload.uid] = until
        heappush(self._back, (until, workload.uid))
        return True

    def back(self, now: int) -> list[str]:
        """Whose back-off has ended."""
        ended = []
        while self._back and self._back[0][0] <= now:
            until, uid = heappop(self._back)
            if self._until.get(uid) == until:
                del self._until[uid]
                self._passed[uid] = until
                ended.append(uid)
        return ended

    def due(self, now: int) -> list[tuple[str, Reason]]:
        """Whose time is over and why; said again until the workload changes."""
        found: list[tuple[int, str, Reason]] = []
        while self._due and self._due[0][0] <= now:
            at, uid, reason = heappop(self._due)
            if (at, reason) in self._current.get(uid, ()) and (at, uid, reason) not in found:
                found.append((at, uid, reason))
        for entry in found:
            heappush(self._due, entry)
        return [(uid, reason) for _, uid, reason in found]

    def forget(self, uid: str) -> None:
        self._current.pop(uid, None)
        self._until.pop(uid, None)
        self._passed.pop(uid, None)

    def next(self) -> int | None:
        """The earliest time at which something may be due."""
        times = [heap[0][0] for heap in (self._due, self._back) if heap]
        return min(times, default=None)


def _times(workload: Workload, rules: Rules) -> list[tuple[int, Reason]]:
    admission = workload.admission
    if admission is None or admission.admitted_at is None or admission.evicted:
        return []
    times = []
    if rules.pods_ready_ms is not None and admission.ready_at is None:
        times.append((admission.admitted_at + rules.pods_ready_ms, Reason.PODS_READY_TIMEOUT))
    if workload.max_execution_ms is not None:
        left = workload.max_execution_ms - workload.ran_ms
        times.append((admission.admitted_at + left, Reason.MAXIMUM_EXECUTION_TIME))
    return times
