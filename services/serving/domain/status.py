"""What a rollout looks like to the user: conditions, URLs and model state from the observed cluster objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339
from libs.cluster.obstacles import Obstacle
from services.serving.domain.failures import Failure
from services.serving.domain.workloads import GRPC_PORT, REVISION_LABEL, predictor_name

Object = dict[str, Any]


@dataclass(frozen=True)
class Observed:
    """The cluster objects of one InferenceService as they are now, and what stands in the way of its newest revision:
    a failure of its program, or an obstacle before it could begin. `canary` and `canary_service` are a second
    revision's; `before` answers beside `deployment`, if there are two."""

    deployment: Object | None = None
    service: Object | None = None
    route: Object | None = None
    canary: Object | None = None
    canary_service: Object | None = None
    before: Object | None = None
    failure: Failure | None = None
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class Verdict:
    """One condition before it gets its time."""

    status: str
    reason: str = ""
    message: str = ""


def rolled_out(observed: Observed, revision: str, replicas: int) -> bool:
    """Every pod is of this revision and available, and none of an older one is left."""
    deployment = observed.deployment
    if deployment is None or not is_revision(deployment, revision):
        return False
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    counts = [status.get(key) or 0 for key in ("updatedReplicas", "availableReplicas", "replicas")]
    return seen and counts == [replicas] * 3


def answers(observed: Observed) -> bool:
    """Whether any pod, of whatever revision, takes requests."""
    both = [((one or {}).get("status") or {}) for one in (observed.deployment, observed.before)]
    return any((status.get("availableReplicas") or 0) > 0 for status in both)


def is_revision(deployment: Object | None, revision: str) -> bool:
    """Whether the Deployment has been told of this revision, rolled out or not."""
    if deployment is None:
        return False
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    return f"{deployment['metadata']['name']}-{labels.get(REVISION_LABEL)}" == revision


def predictor_verdict(observed: Observed, revision: str, replicas: int) -> Verdict:
    if rolled_out(observed, revision, replicas):
        return Verdict("True")
    rest = " The previous revision still answers." if answers(observed) else ""
    if observed.failure is None and observed.obstacle is not None:
        return Verdict("False", observed.obstacle.reason, observed.obstacle.message[:1024] + rest)
    if observed.failure is not None:
        message = f"{observed.failure.reason}: {observed.failure.message}{rest}"
        return Verdict("False", observed.failure.kserve_reason, message)
    if answers(observed):
        return Verdict("Unknown", "RolloutInProgress", f"{revision} is replacing the previous revision")
    return Verdict("False", "MinimumReplicasUnavailable", f"waiting for {revision} to load its model")


def ingress_verdict(observed: Observed, *, has_routes: bool = True) -> Verdict:
    if not has_routes:
        return Verdict("True") if observed.service else Verdict("False", "ServiceMissing", "the Service is being made")
    if observed.route is None or observed.service is None:
        return Verdict("False", "RouteMissing", "the route is being made")
    for parent in (observed.route.get("status") or {}).get("parents") or []:
        for condition in parent.get("conditions") or []:
            if condition.get("type") in ("Accepted", "ResolvedRefs") and condition.get("status") == "False":
                return Verdict("False", condition.get("reason") or "RouteRefused", condition.get("message") or "")
    return Verdict("True")


def ready_verdict(predictor: Verdict, ingress: Verdict) -> Verdict:
    return predictor if predictor.status != "True" else ingress


def conditions(old: list[Object] | None, verdicts: dict[str, Verdict], now: datetime) -> list[Object]:
    """In KServe's order; `lastTransitionTime` moves only when the status does."""
    known = {entry["type"]: entry for entry in old or []}
    made = []
    for kind, verdict in verdicts.items():
        before = known.get(kind)
        same = before is not None and before["status"] == verdict.status
        at = before["lastTransitionTime"] if before is not None and same else rfc3339(now)
        entry = {"type": kind, "status": verdict.status, "lastTransitionTime": at}
        entry |= {k: v for k, v in (("reason", verdict.reason), ("message", verdict.message)) if v}
        made.append(entry)
    return made


def model_status(observed: Observed, verdict: Verdict, revision: str, replicas: int) -> Object:
    """KServe's modelStatus: what is loaded, what is being loaded, and what stands in the way."""
    failed = observed.failure is not None and verdict.status != "True"
    target = "Loaded" if verdict.status == "True" else "FailedToLoad" if failed else "Loading"
    states = {"targetModelState": target}
    if answers(observed):
        states["activeModelState"] = "Loaded"
    transition = "UpToDate" if verdict.status == "True" else "BlockedByFailedLoad" if failed else "InProgress"
    made: Object = {"states": states, "transitionStatus": transition}
    made["copies"] = {"failedCopies": int(failed), "totalCopies": replicas}
    if failed and observed.failure is not None:
        made["lastFailureInfo"] = observed.failure.info(revision)
    return made


def addresses(isvc: Object, observed: Observed, url: str) -> Object:
    """Where to send requests. `grpcUrl` is host:port as gRPC clients take it, by address where one is known."""
    name, namespace = predictor_name(isvc["metadata"]["name"]), isvc["metadata"]["namespace"]
    host = f"{name}.{namespace}.svc.cluster.local"
    cluster_ip = ((observed.service or {}).get("spec") or {}).get("clusterIP")
    grpc_host = cluster_ip if cluster_ip and cluster_ip != "None" else host
    return {
        "url": url,
        "restUrl": url,
        "grpcUrl": f"{grpc_host}:{GRPC_PORT}",
        "address": {"url": f"http://{host}"},
    }
