"""What a failed pod means to its Job: `podFailurePolicy`; pure. Source: batch/v1 PodFailurePolicy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """`action`: Count, Ignore, FailIndex, FailJob or Complete."""

    action: str
    message: str = ""
    reason: str = ""


def judge(job: Object, pod: Object) -> Verdict:
    """The first rule that matches decides; without one the failure counts."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or []
    for at, rule in enumerate(rules):
        why = _by_exit_code(rule.get("onExitCodes"), pod) or _by_condition(rule.get("onPodConditions"), pod)
        if why:
            return Verdict(rule["action"], f"{why} matching {rule['action']} rule at index {at}")
    return Verdict("Count")


def _by_exit_code(rule: Object | None, pod: Object) -> str:
    if not rule:
        return ""
    name = f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"
    for container, code in _exit_codes(pod):
        if rule.get("containerName") not in (None, container) or code == 0:
            continue
        if (code in rule["values"]) == (rule["operator"] == "In"):
            return f"Container {container} for pod {name} failed with exit code {code}"
    return ""


def _exit_codes(pod: Object) -> Iterable[tuple[str, int]]:
    status = pod.get("status") or {}
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if ended := (one.get("state") or {}).get("terminated"):
            yield one["name"], int(ended["exitCode"])


def _by_condition(patterns: list[Object] | None, pod: Object) -> str:
    known = (pod.get("status") or {}).get("conditions") or []
    for pattern in patterns or []:
        if any(c["type"] == pattern["type"] and c["status"] == pattern.get("status", "True") for c in known):
            return f"Pod {pod['metadata']['name']} has condition {pattern['type']}"
    return ""
