"""What a compiled pipeline makes the service do on behalf of whoever runs it; each use names the right that it takes.

The service makes the pods and has more rights than its callers: without these questions whoever may start a run could
read every Secret of the namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.pipelines.domain.claims import CREATE, DELETE
from services.pipelines.domain.ir.model import ContainerExecutor, Pipeline

DEFAULT_ACCOUNT = "default"
"""As whom a namespace's pods run that ask for nobody."""
READ = {
    "secretAsEnv": ("secrets", "secretName"),
    "secretAsVolume": ("secrets", "secretName"),
    "imagePullSecret": ("secrets", "secretName"),
    "configMapAsEnv": ("configmaps", "configMapName"),
    "configMapAsVolume": ("configmaps", "configMapName"),
}
"""What a step may be given to read: the kind, and where an entry names the object."""
HARMLESS = frozenset({
    "activeDeadlineSeconds", "emptyDirMounts", "enabledSharedMemory", "fieldPathAsEnv", "imagePullPolicy",
    "nodeAffinity", "nodeSelector", "podAffinity", "tolerations",
})  # fmt: skip
"""What gives a step nothing that it could not have taken itself. All that is not listed here takes leave to make
pods."""
CLAIMS = {CREATE: "create", DELETE: "delete"}


@dataclass(frozen=True)
class Use:
    """`verb` on `plural` of the core group, because of `field`; an empty `name` is any object of the namespace."""

    field: str
    verb: str
    plural: str
    name: str = ""


POD = Use("", "create", "pods")
"""Whoever may make pods in a namespace may do all of this there without us."""


def uses(pipeline: Pipeline, account: str) -> Iterator[Use]:
    """`account` is what the run asks to run as."""
    if account not in ("", DEFAULT_ACCOUNT):
        yield Use("service_account", POD.verb, POD.plural)
    if pipeline.config.get("workspace"):
        yield Use("platforms.kubernetes.pipelineConfig.workspace", "create", "persistentvolumeclaims")
    for name, document in pipeline.kubernetes.items():
        where = f"platforms.kubernetes.deploymentSpec.executors.{name}"
        for key, said in document.items():
            if said and key not in HARMLESS:
                yield from _uses(f"{where}.{key}", key, said)
    for name, executor in pipeline.executors.items():
        if isinstance(executor, ContainerExecutor) and (verb := CLAIMS.get(executor.image)):
            yield Use(f"deploymentSpec.executors.{name}.container.image", verb, "persistentvolumeclaims")


def _uses(field: str, key: str, said: Any) -> Iterator[Use]:
    if key not in READ:
        yield Use(field, POD.verb, POD.plural)
        return
    plural, named = READ[key]
    for at, entry in enumerate(said):
        yield Use(f"{field}[{at}].{named}", "get", plural, _name(entry, named))


def _name(entry: Mapping[str, Any], named: str) -> str:
    """Empty where only the run will tell."""
    parameter = entry.get(f"{named}Parameter")
    said = (parameter.get("runtimeValue") or {}).get("constant") if parameter else entry.get(named)
    return said if isinstance(said, str) and "{{" not in said else ""
