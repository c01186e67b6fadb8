"""What runs for one of these jobs, as the cluster told it: pods by role and index; plain reading, no judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.trainer.domain.legacy import words
from services.trainer.domain.legacy.family import Replica, Tally

Pod = dict[str, Any]


@dataclass(frozen=True)
class Observed:
    """`services` are the names of the job's own; `foreign` those of wanted pods that belong to somebody else; `tails`
    the last log lines of failed pods by pod name; `events` core Events about pods that do not come to run."""

    pods: tuple[Pod, ...] = ()
    services: frozenset[str] = frozenset()
    secret: bool = False
    foreign: tuple[str, ...] = ()
    tails: Mapping[str, str] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()

    @property
    def nothing_left(self) -> bool:
        return not (self.pods or self.services or self.secret)

    def pod(self, replica: Replica) -> Pod | None:
        return next((pod for pod in self.pods if pod["metadata"]["name"] == replica.host), None)


def is_leaving(pod: Pod) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def phase(pod: Pod) -> str:
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_over(pod: Pod) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def role_of(pod: Pod) -> str:
    """In small letters, as the label has it."""
    return str((pod["metadata"].get("labels") or {}).get(words.REPLICA_TYPE) or "")


def index_of(pod: Pod) -> int:
    return int((pod["metadata"].get("labels") or {}).get(words.REPLICA_INDEX) or 0)


def exit_code(pod: Pod, container: str) -> int | None:
    """Of the training container; None while it has not ended."""
    for found in (pod.get("status") or {}).get("containerStatuses") or []:
        if found["name"] == container and "terminated" in (found.get("state") or {}):
            return int(found["state"]["terminated"].get("exitCode") or 0)
    return None


def container_restarts(pod: Pod) -> int:
    """How often the kubelet started containers of this pod again."""
    return sum(int(c.get("restartCount") or 0) for c in (pod.get("status") or {}).get("containerStatuses") or [])


def tally(observed: Observed, role: str, wanted: int) -> Tally:
    """Pods on their way out count for nothing: what replaces them will."""
    mine = [pod for pod in observed.pods if role_of(pod) == role.lower() and not is_leaving(pod)]
    phases = [phase(pod) for pod in mine]
    return Tally(
        wanted=wanted,
        active=phases.count("Running"),
        succeeded=phases.count("Succeeded"),
        failed=phases.count("Failed"),
        first_done=any(index_of(pod) == 0 and phase(pod) == "Succeeded" for pod in mine),
    )
