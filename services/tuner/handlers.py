"""What the tuner does about what it hears of the jobs that its trials run: it notes it; its reconciler does the rest.

Facts may come twice, late and in any order: the end of a run is not taken back by what is told of its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.events.training.v1 import (
    LegacyJobApplied,
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobRejected,
    LegacyJobSucceeded,
    TrainJobApplied,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobSucceeded,
)
from contracts.messages import Event
from services.tuner.domain.states import is_done
from services.tuner.domain.trials import ACCEPTED, ASKED, BAD, DELETED, GOOD, REJECTED, kind_of, run_of
from services.tuner.ports import Needs, Object

RANK = {ASKED: 0, ACCEPTED: 1, GOOD: 2, BAD: 2, REJECTED: 2, DELETED: 3}

Applied = TrainJobApplied | LegacyJobApplied
Ended = TrainJobSucceeded | TrainJobFailed | LegacyJobSucceeded | LegacyJobFailed
Rejected = TrainJobRejected | LegacyJobRejected
Deleted = TrainJobDeleted | LegacyJobDeleted


async def when_run_accepted(event: Applied, needs: Needs) -> Sequence[Event]:
    return await _note(event, event.uid, {"state": ACCEPTED}, needs)


async def when_run_ended(event: Ended, needs: Needs) -> Sequence[Event]:
    if isinstance(event, TrainJobFailed | LegacyJobFailed):
        return await _note(event, event.uid, {"state": BAD, "reason": event.reason, "message": event.message}, needs)
    return await _note(event, event.uid, {"state": GOOD}, needs)


async def when_run_rejected(event: Rejected, needs: Needs) -> Sequence[Event]:
    """What was asked for cannot be; of one that was to go it means that it is not there."""
    why = {"reason": str(event.status.get("reason") or "Rejected"), "message": str(event.status.get("message") or "")}
    return await _note(event, None, {"state": REJECTED, **why}, needs, gone={"state": DELETED})


async def when_run_deleted(event: Deleted, needs: Needs) -> Sequence[Event]:
    return await _note(event, event.uid, {"state": DELETED}, needs)


async def _note(
    event: Applied | Ended | Rejected | Deleted,
    uid: str | None,
    told: Object,
    needs: Needs,
    gone: Object | None = None,
) -> Sequence[Event]:
    """Notes it in the trial that bears the run's name, if it is told of that trial's own run."""
    trial = await needs.trials.find(event.namespace, event.name) if event.name else None
    if trial is None or not _is_of(event, trial):
        return []
    run = run_of(trial)
    if not run or (uid and run.get("uid") not in (None, uid)):
        return []
    told = gone if gone and run.get("removing") else told
    if RANK[told["state"]] <= RANK[run["state"]]:
        return []
    if told["state"] == DELETED and run["state"] in (GOOD, BAD) and not (is_done(trial) or run.get("removing")):
        return []  # it ended before it was deleted: that it did is still to be noted
    if told["state"] == REJECTED and run["state"] != ASKED:
        return []
    own = {"uid": uid} if uid else {}
    await needs.trials.set_status(trial, {**trial["status"], "run": {**run, **own, **told}})
    return []


def _is_of(event: Event, trial: Object) -> bool:
    """Whether the event's noun and kind are those of what the trial runs."""
    kind = kind_of(trial)
    if kind.command is None or event.type.rsplit(".", 2)[0] != kind.command.apply.type.rsplit(".", 2)[0]:
        return False
    return getattr(event, "kind", kind.kind) == kind.kind
