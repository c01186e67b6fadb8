"""The Pod Security Standard `restricted`, as the admission controller of a cluster checks it; reads templates alone.

Source: kubernetes.io/docs/concepts/security/pod-security-standards.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.builds import Object

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}


def violations(spec: Object) -> list[str]:
    """What the admission controller would say of a pod spec; [] when it is restricted."""
    containers = [*(spec.get("initContainers") or []), *spec["containers"], *(spec.get("ephemeralContainers") or [])]
    found = list(_pod(spec))
    for container in containers:
        found += [f"container {container['name']}: {each}" for each in _container(container, spec)]
    return found


def _pod(spec: Object) -> Iterator[str]:
    yield from (f"{word} is true" for word in ("hostNetwork", "hostPID", "hostIPC") if spec.get(word))
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is of type {', '.join(kinds - VOLUMES)}"
    context = spec.get("securityContext") or {}
    unsafe = {each["name"] for each in context.get("sysctls") or []} - SYSCTLS
    if unsafe:
        yield f"sysctls {sorted(unsafe)}"


def _container(container: Object, spec: Object) -> Iterator[str]:
    own, pod = container.get("securityContext") or {}, spec.get("securityContext") or {}
    if own.get("privileged"):
        yield "privileged is true"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser is 0"
    profile = (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield f"seccompProfile is {profile}"
    yield from _capabilities(own.get("capabilities") or {})
    if own.get("procMount", "Default") != "Default":
        yield "procMount is not Default"
    yield from (f"hostPort {port['hostPort']}" for port in container.get("ports") or [] if port.get("hostPort"))


def _capabilities(given: Object) -> Iterator[str]:
    if "ALL" not in (given.get("drop") or []):
        yield "capabilities do not drop ALL"
    extra = set(given.get("add") or []) - {"NET_BIND_SERVICE"}
    if extra:
        yield f"capabilities add {sorted(extra)}"
