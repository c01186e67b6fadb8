"""Why one of these jobs failed, in upstream's sentence and then in words to act on."""

from services.trainer.domain.legacy.family import Family, Job
from services.trainer.domain.legacy.observed import Observed
from services.trainer.domain.legacy.restarts import Failed
from services.trainer.domain.observed import Observed as Pods
from services.trainer.domain.outcome import Outcome, explained


def sentence(job: Job, family: Family, observed: Observed, found: list[Failed]) -> Outcome:
    """`found` are the pods that failed the job; the first that tells a cause of its own is its explanation."""
    role = found[0].role
    count = len([one for one in found if one.role == role])
    told = f"{job['kind']} {job['metadata']['name']} is failed because {count} {role} replica(s) failed."
    why = cause(observed, found)
    return Outcome(False, why.reason if why else "ReplicaFailed", f"{told} {why.message}" if why else told)


def cause(observed: Observed, found: list[Failed]) -> Outcome | None:
    return explained(Pods(pods=tuple(one.pod for one in found), tails=observed.tails))


def over_limit(job: Job, observed: Observed, found: list[Failed]) -> Outcome:
    told = f"{job['kind']} {job['metadata']['name']} has failed because it has reached the specified backoff limit."
    why = cause(observed, found)
    return Outcome(False, "BackoffLimitExceeded", f"{told} {why.message}" if why else told)


def too_late(job: Job) -> Outcome:
    told = f"{job['kind']} {job['metadata']['name']} has failed because it was active longer than specified deadline."
    return Outcome(False, "DeadlineExceeded", told)
