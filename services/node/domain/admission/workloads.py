"""Job, Deployment and StatefulSet; pure."""

import copy
from typing import Any

from services.node.domain.admission.checks import Checks
from services.node.domain.admission.pods import PLATFORM, check_pod_spec
from services.node.domain.job_pods import UID, job_labels
from services.node.domain.naming import matches

Object = dict[str, Any]


def admit_job(obj: Object, old: Object | None, admission: Any) -> Object:
    """A job's template may change only while it is suspended and has not started."""
    job, checks = copy.deepcopy(obj), Checks()
    spec = _spec(job, checks, "jobs.batch")
    _default_job(job, spec)
    for name in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex"):
        checks.at_least(f"spec.{name}", spec.get(name))
    checks.at_least("spec.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1)
    checks.one_of("spec.completionMode", spec["completionMode"], ("NonIndexed", "Indexed"))
    if spec["completionMode"] == "Indexed" and spec.get("completions") is None:
        checks.required("spec.completions", "when completionMode is Indexed")
    _template(checks, job, ("OnFailure", "Never"))
    if old is not None:
        _same_job(checks, spec, old)
    checks.done("jobs.batch", job)
    return job


def _default_job(job: Object, spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels.update(job_labels(job))
    spec.setdefault("selector", {"matchLabels": {UID: job["metadata"]["uid"]}})


def _same_job(checks: Checks, spec: Object, old: Object) -> None:
    before = old["spec"]
    checks.fixed("spec.selector", spec.get("selector"), before.get("selector"))
    checks.fixed("spec.completionMode", spec.get("completionMode"), before.get("completionMode"))
    if spec["completionMode"] != "Indexed":
        checks.fixed("spec.completions", spec.get("completions"), before.get("completions"))
    if not (before.get("suspend") and not (old.get("status") or {}).get("startTime")):
        checks.fixed("spec.template", spec["template"], before["template"])


def admit_deployment(obj: Object, old: Object | None, admission: Any) -> Object:
    """Its selector is fixed and must choose the pods of its own template."""
    deployment, checks = copy.deepcopy(obj), Checks()
    spec = _spec(deployment, checks, "deployments.apps")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    kind = strategy.setdefault("type", "RollingUpdate")
    checks.one_of("spec.strategy.type", kind, ("RollingUpdate", "Recreate"))
    if kind == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        _shares(checks, rolling)
    else:
        strategy.pop("rollingUpdate", None)
    _workload(checks, deployment, old)
    checks.done("deployments.apps", deployment)
    return deployment


def _shares(checks: Checks, rolling: Object) -> None:
    for name in ("maxSurge", "maxUnavailable"):
        value = rolling.setdefault(name, "25%")
        if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit()):
            checks.wrong(f"spec.strategy.rollingUpdate.{name}", value, "must be a number or a percentage such as 25%")
    if all(value in (0, "0%") for value in rolling.values()):
        checks.wrong("spec.strategy.rollingUpdate.maxUnavailable", 0, "may not be 0 when maxSurge is 0")


def admit_statefulset(obj: Object, old: Object | None, admission: Any) -> Object:
    """Names, service and claims of its pods are fixed."""
    owner, checks = copy.deepcopy(obj), Checks()
    spec = _spec(owner, checks, "statefulsets.apps")
    spec.setdefault("replicas", 1)
    spec.setdefault("serviceName", "")
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    _workload(checks, owner, old, claims=[t["metadata"]["name"] for t in spec.get("volumeClaimTemplates") or []])
    if old is not None:
        for name in ("serviceName", "podManagementPolicy", "volumeClaimTemplates"):
            checks.fixed(f"spec.{name}", spec.get(name), old["spec"].get(name))
    checks.done("statefulsets.apps", owner)
    return owner


def _workload(checks: Checks, owner: Object, old: Object | None, claims: list[str] | None = None) -> None:
    spec = owner["spec"]
    checks.at_least("spec.replicas", spec.get("replicas"))
    labels = (spec["template"].get("metadata") or {}).get("labels")
    selector = spec.get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        checks.required("spec.selector")
    elif not matches(selector, labels):
        checks.wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    _template(checks, owner, ("Always",), claims)
    if old is not None:
        checks.fixed("spec.selector", spec.get("selector"), old["spec"].get("selector"))


def _template(checks: Checks, owner: Object, policies: tuple[str, ...], claims: list[str] | None = None) -> None:
    spec = owner["spec"]["template"].get("spec")
    if not isinstance(spec, dict):
        return checks.required("spec.template.spec")
    with_claims = {
        **spec,
        "volumes": [*(spec.get("volumes") or []), *({"name": c, "emptyDir": {}} for c in claims or [])],
    }
    trusted = owner["metadata"].get("namespace") == PLATFORM
    whole = with_claims if claims else spec
    check_pod_spec(checks, whole, "spec.template.spec", trusted=trusted, policies=policies)


def _spec(obj: Object, checks: Checks, resource: str) -> Object:
    spec = obj.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("template"), dict):
        checks.required("spec.template")
        checks.done(resource, obj)
    found: Object = obj["spec"]
    return found
