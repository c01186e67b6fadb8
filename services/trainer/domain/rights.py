"""Which parts of a pod template reach beyond the pod itself, so that whoever writes one must be allowed to create pods.

A job's own program, image and amounts take the right to write jobs and no more. But a pod may use whatever there is in
its namespace: Secrets, volumes, service accounts, its machine. Kubernetes gives all that to who may create pods, and
the trainer, which may, must not lend it to who may not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

HARMLESS_VOLUMES = frozenset({"emptyDir", "downwardAPI"})
OF_THE_MACHINE = ("hostNetwork", "hostPID", "hostIPC")
OF_OTHERS = ("serviceAccountName", "serviceAccount", "imagePullSecrets", "resourceClaims")
SAFE_SECURITY = frozenset({"runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "seccompProfile"})
REFERENCES = ("secretKeyRef", "configMapKeyRef")


def reaching(pod: Mapping[str, Any], where: str) -> Iterator[str]:
    """The paths of a pod spec's fields (below `where`) that reach beyond it; the spec may be of any shape."""
    for field in (*OF_OTHERS, *OF_THE_MACHINE):
        if pod.get(field):
            yield f"{where}.{field}"
    yield from _security(pod, where)
    for index, volume in _entries(pod, "volumes"):
        for source in sorted(volume.keys() - {"name"} - HARMLESS_VOLUMES):
            yield f"{where}.volumes[{index}].{source}"
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in _entries(pod, part):
            yield from _container(container, f"{where}.{part}[{index}]")


def referring(container: Mapping[str, Any], where: str) -> Iterator[str]:
    """The variables of a container (or of anything with `env` and `envFrom`) that come from objects of others."""
    for index, variable in _entries(container, "env"):
        source = variable.get("valueFrom")
        for field in sorted(set(source) & set(REFERENCES)) if isinstance(source, Mapping) else ():
            yield f"{where}.env[{index}].valueFrom.{field}"
    for index, _ in _entries(container, "envFrom"):
        yield f"{where}.envFrom[{index}]"


def _container(container: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from referring(container, where)
    yield from _security(container, where)
    for index, port in _entries(container, "ports"):
        if port.get("hostPort"):
            yield f"{where}.ports[{index}].hostPort"


def _security(holder: Mapping[str, Any], where: str) -> Iterator[str]:
    """Settings that only narrow what a pod may do are anybody's."""
    context = holder.get("securityContext")
    if not isinstance(context, Mapping):
        return
    for field in sorted(context):
        if field not in SAFE_SECURITY or context[field] is (field == "allowPrivilegeEscalation"):
            yield f"{where}.securityContext.{field}"


def _entries(holder: Mapping[str, Any], field: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    found = holder.get(field)
    for index, entry in enumerate(found if isinstance(found, list) else ()):
        if isinstance(entry, Mapping):
            yield index, entry


def of_job(job: Mapping[str, Any]) -> list[str]:
    """Paths of all fields of a TrainJob that reach beyond its pods."""
    spec = job.get("spec") or {}
    found = list(referring(spec.get("trainer") or {}, "spec.trainer"))
    for part, source in (spec.get("initializer") or {}).items():
        found += referring(source or {}, f"spec.initializer.{part}")
        if (source or {}).get("secretRef"):
            found.append(f"spec.initializer.{part}.secretRef")
        if str((source or {}).get("storageUri") or "").startswith("pvc://"):
            found.append(f"spec.initializer.{part}.storageUri")
    for index, patch in _entries(spec, "runtimePatches"):
        runtime = patch.get("trainingRuntimeSpec") or {}
        found += _of_template(runtime, f"spec.runtimePatches[{index}].trainingRuntimeSpec")
    return found


def of_templates(specs: Mapping[str, Any], where: str) -> list[str]:
    """Paths of all fields of replica specs (by role) that reach beyond the pods made from them."""
    found: list[str] = []
    for role, spec in specs.items():
        found += reaching(spec["template"].get("spec") or {}, f"{where}[{role}].template.spec")
    return found


def of_runtime(runtime: Mapping[str, Any]) -> list[str]:
    """Paths of all fields of a runtime that reach beyond the pods made from it."""
    return _of_template(runtime.get("spec") or {}, "spec")


def _of_template(spec: Mapping[str, Any], where: str) -> list[str]:
    jobs = ((spec.get("template") or {}).get("spec") or {}) if isinstance(spec.get("template"), Mapping) else {}
    found: list[str] = []
    for index, job in _entries(jobs, "replicatedJobs"):
        pod = (((job.get("template") or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
        place = f"{where}.template.spec.replicatedJobs[{index}].template.spec.template.spec"
        found += reaching(pod, place)
    return found
