"""The predictor that an InferenceService asks for, normalised; registry URIs resolved to where the files lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from contracts.events.scheduling.v1 import Assignment
from contracts.kinds.inferenceservice import predictor_model
from contracts.kinds.quantity import amount

REGISTRY = "model-registry://"
CLAIM_FOLDER = "/mnt/pvc"


@dataclass(frozen=True)
class KnownVersion:
    """A registered model version, as the registry announced it. `number` grows with each registration."""

    model: str
    version: str
    number: int
    uri: str
    format: str


@dataclass(frozen=True)
class Predictor:
    """`uri` is what the model server fetches; `asked_uri` is what the user wrote."""

    format: str
    uri: str
    asked_uri: str
    version: str = "1"
    replicas: int = 1
    claim: str | None = None
    timeout_s: int | None = None
    env: tuple[dict[str, Any], ...] = ()
    resources: dict[str, Any] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    assignment: Assignment | None = None
    """What the scheduler gave its pods; None for a service that names no queue."""

    @property
    def threads(self) -> int:
        """Cores that the container may use, at least one."""
        for section in ("limits", "requests"):
            cpu = (self.resources.get(section) or {}).get("cpu")
            if cpu is not None:
                return max(1, math.ceil(amount(cpu)))
        return 1


def registry_name(uri: str) -> tuple[str, str | None] | None:
    """(model, version or None for the newest) of a model-registry:// URI."""
    if not uri.startswith(REGISTRY):
        return None
    model, _, version = uri[len(REGISTRY) :].partition("/")
    return model, version or None


def predictor(spec: dict[str, Any], known: KnownVersion | None) -> Predictor:
    """Reads a valid spec. `known` is the version that a registry URI means; not None when the spec has one."""
    model, outer = predictor_model(spec), spec["predictor"]
    asked = model["storageUri"]
    uri, claim = _mounted(known.uri if known else asked)
    pod = {key: outer[key] for key in ("serviceAccountName", "nodeSelector") if outer.get(key)}
    return Predictor(
        format=model["modelFormat"]["name"],
        uri=uri,
        asked_uri=asked,
        version=known.version if known else "1",
        replicas=outer.get("minReplicas") or 1,
        claim=claim,
        timeout_s=outer.get("timeout"),
        env=tuple(model.get("env") or ()),
        resources=model.get("resources") or {},
        pod=pod,
        labels=outer.get("labels") or {},
        annotations=outer.get("annotations") or {},
    )


def _mounted(uri: str) -> tuple[str, str | None]:
    """A claim is mounted into the pod, so its URI becomes a path there."""
    if not uri.startswith("pvc://"):
        return uri, None
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    return f"{CLAIM_FOLDER}/{path}".rstrip("/"), claim
