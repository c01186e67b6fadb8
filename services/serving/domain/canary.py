"""A new model beside the one that is served: who stays, who is new, and what share of the requests goes where; pure.

What was rolled out last stays as it is, untouched, under its own name: nothing has to be remembered about it. The new
revision stands beside it until `canaryTrafficPercent` goes away (then it takes the other's place) or becomes 0.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from services.serving.domain.status import Observed, answers
from services.serving.domain.workloads import ISVC_LABEL, REVISION_LABEL, predictor_name

Object = dict[str, Any]
WHOLE = 100


@dataclass(frozen=True)
class Split:
    """`percent` is what the new revision shall get, `weight` what it gets now: nothing before it answers. With 0 there
    is no new revision."""

    percent: int
    weight: int
    before: str
    """The revision that was rolled out before."""

    def traffic(self, isvc: Object, latest: str) -> list[Object]:
        """As the status tells it; each with the address inside of the cluster where it alone answers."""
        old = {"latestRevision": False, "percent": WHOLE - self.weight, "revisionName": self.before}
        old["url"] = address(isvc, predictor_name(isvc["metadata"]["name"]))
        if not self.percent:
            return [old]
        new = {"latestRevision": True, "percent": self.weight, "revisionName": latest}
        return [old, {**new, "url": address(isvc, canary_name(isvc["metadata"]["name"]))}]


def canary_name(name: str) -> str:
    """No predictor's name ends so."""
    return f"{name}-canary"


def asked_percent(isvc: Object) -> int:
    told = isvc["spec"]["predictor"].get("canaryTrafficPercent")
    return WHOLE if told is None else int(told)


def split(isvc: Object, made: Object, observed: Observed) -> Split | None:
    """None where the wanted Deployment `made` is the only one: no share is asked for, or nothing was served before."""
    percent, stable = asked_percent(isvc), observed.deployment
    if percent >= WHOLE or stable is None or digest_of(stable) == digest_of(made):
        return None
    begun = observed.canary is not None or percent == 0
    if not begun and not answers(Observed(stable)):
        return None  # the one before has never answered: there is nobody to compare with
    weight = percent if observed.canary is not None and answers(Observed(observed.canary)) else 0
    return Split(percent, weight, f"{stable['metadata']['name']}-{digest_of(stable)}")


def digest_of(deployment: Object) -> str:
    return str((deployment["spec"]["template"]["metadata"].get("labels") or {}).get(REVISION_LABEL))


def newest(isvc: Object, observed: Observed) -> Object | None:
    """The Deployment whose pods tell what is wrong with the newest revision."""
    beside, stable = observed.canary, observed.deployment
    wanted = 0 < asked_percent(isvc) < WHOLE
    if wanted and beside is not None and (stable is None or digest_of(beside) != digest_of(stable)):
        return beside
    return stable


def beside(isvc: Object, made: list[Object], shares: Split) -> list[Object]:
    """What is wanted while both stand: of `made` (Deployment, Service, HTTPRoute) the Deployment is the new one's, the
    others still lead to the one before."""
    deployment, service, route = made
    route = deepcopy(route)
    stable = route["spec"]["rules"][0]["backendRefs"][0]
    if not shares.percent:
        return [service, route]
    new = {**stable, "name": canary_name(isvc["metadata"]["name"]), "weight": shares.weight}
    route["spec"]["rules"][0]["backendRefs"] = [{**stable, "weight": WHOLE - shares.weight}, new]
    return [_renamed(isvc, deployment), service, _renamed(isvc, service), route]


def address(isvc: Object, service: str) -> str:
    return f"http://{service}.{isvc['metadata']['namespace']}.svc.cluster.local"


def _renamed(isvc: Object, obj: Object) -> Object:
    """The same under the canary's name, with labels of its own wherever the one before is chosen by them."""
    made, name = deepcopy(obj), isvc["metadata"]["name"]
    labels = {"app": f"isvc.{canary_name(name)}"[:63].rstrip("-."), ISVC_LABEL: name, "component": "canary"}
    made["metadata"].update(name=canary_name(name), labels=labels)
    if made["kind"] == "Service":
        made["spec"]["selector"] = labels
    else:
        made["spec"]["selector"] = {"matchLabels": labels}
        made["spec"]["template"]["metadata"]["labels"].update(labels)
    return made
