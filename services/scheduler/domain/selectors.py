"""Labels, taints and tolerations, as Kubernetes defines them for pods and nodes."""

from collections.abc import Iterable, Mapping

from services.scheduler.domain.model import Requirement, Taint, Toleration

KEEPS_OUT = ("NoSchedule", "NoExecute")


def satisfies(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    return all(_holds(requirement, labels) for requirement in requirements)


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"operator {requirement.operator!r} is not one of In, NotIn, Exists, DoesNotExist")


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The first taint that keeps a pod with these tolerations out; PreferNoSchedule never does."""
    known = tuple(tolerations)
    for taint in taints:
        if taint.effect in KEEPS_OUT and not any(_tolerates(toleration, taint) for toleration in known):
            return taint
    return None


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.operator == "Exists":
        return not toleration.key or toleration.key == taint.key
    return toleration.key == taint.key and toleration.value == taint.value
