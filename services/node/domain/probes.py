"""How probe answers become a container's health; pure. Source: kubelet prober/worker.go."""

from dataclasses import dataclass, replace
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class ProbeSpec:
    """Timing and thresholds of one probe, with Kubernetes' defaults."""

    kind: str  # startup | liveness | readiness
    action: Object
    delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    successes: int = 1
    failures: int = 3
    grace_s: float | None = None


def probes_of(container: Object) -> list[ProbeSpec]:
    """The probes of a container."""
    kinds = ("startup", "liveness", "readiness")
    return [_spec(kind, container[kind + "Probe"]) for kind in kinds if container.get(kind + "Probe")]


def _spec(kind: str, probe: Object) -> ProbeSpec:
    action = {k: probe[k] for k in ("httpGet", "tcpSocket", "exec", "grpc") if probe.get(k) is not None}
    return ProbeSpec(
        kind, action, float(probe.get("initialDelaySeconds") or 0), float(probe.get("periodSeconds") or 10),
        float(probe.get("timeoutSeconds") or 1), int(probe.get("successThreshold") or 1),
        int(probe.get("failureThreshold") or 3), probe.get("terminationGracePeriodSeconds"),
    )  # fmt: skip


@dataclass(frozen=True)
class Streak:
    """The run of equal answers so far and the verdict it has led to (None: undecided)."""

    good: int = 0
    bad: int = 0
    verdict: bool | None = None


def answered(streak: Streak, ok: bool, spec: ProbeSpec) -> Streak:
    """The streak after one more answer; the verdict changes when a threshold is reached."""
    if ok:
        good = streak.good + 1
        return replace(streak, good=good, bad=0, verdict=True if good >= spec.successes else streak.verdict)
    bad = streak.bad + 1
    return replace(streak, good=0, bad=bad, verdict=False if bad >= spec.failures else streak.verdict)
