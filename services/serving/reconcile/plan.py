"""plan(wanted, observed): which cluster objects to write, what the status says, which facts follow; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts.events.serving.v1 import InferenceServiceFailed, InferenceServiceReady
from contracts.messages import Message
from libs.base.clock import rfc3339
from libs.cluster.obstacles import Obstacle, steady
from services.serving.domain import canary
from services.serving.domain import status as say
from services.serving.domain.canary import Split
from services.serving.domain.predictor import Predictor
from services.serving.domain.queued import Gate, ready_report, with_place
from services.serving.domain.status import Observed, Verdict
from services.serving.domain.workloads import Surroundings, predictor_name, revision_of, url_of, workloads

Object = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """`ensure` lists the objects that differ from what they should be. With `second_left` a second
    revision is left over and must go."""

    ensure: Sequence[Object]
    status: Object
    events: Sequence[Message] = ()
    second_left: bool = False


def plan(
    isvc: Object,
    wanted: Predictor,
    observed: Observed,
    around: Surroundings,
    now: datetime,
    gate: Gate | None = None,
) -> Decision:
    """One step towards a predictor whose model is known; `gate` is what the scheduler has to say, if it is asked."""
    if gate is not None:
        wanted = replace(with_place(isvc, wanted), replicas=gate.replicas)
    objects = workloads(isvc, wanted, around)
    shares = canary.split(isvc, objects[0], observed)
    differing = _differing(isvc, canary.beside(isvc, objects, shares) if shares else objects, observed)
    newest = _newest(isvc, objects[0], shares, observed, wanted.replicas)
    seen = newest.seen
    if seen.obstacle:
        seen = replace(seen, obstacle=steady(_told_before(isvc), seen.obstacle))
    predictor = (gate and gate.waits) or say.predictor_verdict(seen, newest.stands_as, newest.replicas)
    ingress = say.ingress_verdict(seen, has_routes=around.has_routes)
    ready = say.ready_verdict(predictor, ingress)
    verdicts = {"IngressReady": ingress, "PredictorReady": predictor, "Ready": ready}
    status = {
        **_common(isvc, verdicts, now),
        **_where(isvc, seen, around, newest.revision, predictor, shares),
        "modelStatus": say.model_status(seen, predictor, newest.stands_as, newest.replicas),
    }
    facts = _facts(isvc, status, wanted, newest.revision)
    single = not shares.percent if shares is not None else predictor.status == "True"
    single = single and not (observed.canary is None and observed.canary_service is None)
    if gate is None:
        return Decision(differing, status, facts, single)
    status, reports = ready_report(isvc, {**status, **gate.memory}, ready=predictor.status == "True")
    return Decision(differing, status, [*facts, *gate.says, *reports], single)


@dataclass(frozen=True)
class _Newest:
    """What the status is about: the revision's name, its name while it stands as a canary, and what is seen of it."""

    revision: str
    stands_as: str
    replicas: int
    seen: Observed


def _newest(isvc: Object, made: Object, shares: Split | None, observed: Observed, replicas: int) -> _Newest:
    found = _Newest(revision_of(made), revision_of(made), replicas, observed)
    if shares is not None and shares.percent:
        stands_as = f"{canary.canary_name(isvc['metadata']['name'])}-{canary.digest_of(made)}"
        both = replace(observed, deployment=observed.canary, before=observed.deployment)
        found = replace(found, stands_as=stands_as, seen=both)
    elif shares is not None and observed.deployment is not None:
        left = int(observed.deployment["spec"].get("replicas", 1))
        found = _Newest(shares.before, shares.before, left, observed)
    if not say.is_revision(found.seen.deployment, found.stands_as):
        # What went wrong was the revision before.
        found = replace(found, seen=replace(found.seen, failure=None, obstacle=None))
    return found


def _differing(isvc: Object, wanted: Sequence[Object], observed: Observed) -> list[Object]:
    stable, beside = predictor_name(isvc["metadata"]["name"]), canary.canary_name(isvc["metadata"]["name"])
    present = {
        ("Deployment", stable): observed.deployment,
        ("Service", stable): observed.service,
        ("HTTPRoute", stable): observed.route,
        ("Deployment", beside): observed.canary,
        ("Service", beside): observed.canary_service,
    }
    return [made for made in wanted if not covers(present[made["kind"], made["metadata"]["name"]], made)]


def plan_unknown_version(isvc: Object, why: str, now: datetime) -> Decision:
    """The registry has not (yet) announced the version that the URI names; what runs already keeps running."""
    return plan_refused(isvc, "ModelVersionUnknown", why, now)


def plan_refused(isvc: Object, reason: str, why: str, now: datetime) -> Decision:
    """Nothing can be asked of the cluster, or it will not have what is asked; what runs already keeps running."""
    verdict = Verdict("False", reason, why)
    old = isvc.get("status") or {}
    states = {**((old.get("modelStatus") or {}).get("states") or {}), "targetModelState": "Pending"}
    failure = {"reason": "InvalidPredictorSpec", "message": f"{reason}: {why}", "time": rfc3339(now)}
    before = (old.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if before.get("message") == failure["message"]:
        failure = before
    model = {"states": states, "transitionStatus": "InvalidSpec", "lastFailureInfo": failure}
    kept = {key: old[key] for key in ("url", "address", "components", "admission", "released") if key in old}
    ingress = Verdict("True") if "url" in old else Verdict("False", "RouteMissing")
    verdicts = {"IngressReady": ingress, "PredictorReady": verdict, "Ready": verdict}
    return Decision((), {**_common(isvc, verdicts, now), **kept, "modelStatus": model})


def plan_hindered(isvc: Object, why: Obstacle, now: datetime) -> Decision:
    """Quota or policy forbid what is asked for; either may change, and what runs already keeps running."""
    decision = plan_refused(isvc, why.reason, why.message, now)
    old = (isvc.get("status") or {}).get("modelStatus") or {}
    states = {**(old.get("states") or {}), "targetModelState": "Pending"}
    model = {**old, "states": states, "transitionStatus": "InProgress"}
    return replace(decision, status={**decision.status, "modelStatus": model})


def _told_before(isvc: Object) -> Object | None:
    found = (isvc.get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] == "PredictorReady"), None)


def _common(isvc: Object, verdicts: dict[str, Verdict], now: datetime) -> Object:
    return {
        "observedGeneration": isvc["metadata"].get("generation", 1),
        "deploymentMode": "Standard",
        "conditions": say.conditions((isvc.get("status") or {}).get("conditions"), verdicts, now),
    }


def _where(
    isvc: Object, observed: Observed, around: Surroundings, revision: str, verdict: Verdict, shares: Split | None
) -> Object:
    addresses = say.addresses(isvc, observed, url_of(isvc, around))
    old = ((isvc.get("status") or {}).get("components") or {}).get("predictor") or {}
    latest = revision if verdict.status == "True" else old.get("latestReadyRevision")
    component = {**addresses, "latestCreatedRevision": revision}
    if latest:
        component["latestReadyRevision"] = latest
        component["traffic"] = [{"latestRevision": latest == revision, "percent": 100, "revisionName": latest}]
    if shares is not None:
        component["traffic"] = shares.traffic(isvc, revision)
        component["latestRolledoutRevision"] = shares.before
    shown: Object = {"components": {"predictor": component}}
    if observed.route is not None or (observed.service is not None and not around.has_routes):
        shown |= {"url": addresses["url"], "address": addresses["address"]}
    return shown


def _facts(isvc: Object, status: Object, wanted: Predictor, revision: str) -> list[Message]:
    """Ready when it became so, or answers with another revision; failed when a load failed in a new way."""
    metadata, old = isvc["metadata"], isvc.get("status") or {}
    about = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    was_ready = _is_ready(old) and _latest(old) == revision
    if _is_ready(status) and not was_ready:
        told = {"url": status["url"], "model_uri": wanted.asked_uri, "fetched_uri": wanted.uri}
        return [InferenceServiceReady(**about, **told, revision=revision)]
    failure = status["modelStatus"].get("lastFailureInfo")
    before = (old.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if failure and (failure["message"], revision) != (before.get("message"), before.get("modelRevisionName")):
        return [InferenceServiceFailed(**about, reason=failure["reason"], message=failure["message"])]
    return []


def _is_ready(status: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])


def _latest(status: Object) -> Any:
    return ((status.get("components") or {}).get("predictor") or {}).get("latestReadyRevision")


def covers(found: Any, made: Any) -> bool:
    """Whether everything that `made` states is so in `found`, which may say more (defaults, status)."""
    if isinstance(made, dict):
        return isinstance(found, dict) and all(covers(found.get(key), value) for key, value in made.items())
    if isinstance(made, list):
        same_length = isinstance(found, list) and len(found) == len(made)
        return same_length and all(covers(f, m) for f, m in zip(found, made, strict=True))
    return bool(found == made)


def names_of(isvc: Object) -> tuple[str, str]:
    """Namespace and name that the cluster objects share."""
    return isvc["metadata"]["namespace"], predictor_name(isvc["metadata"]["name"])
