"""What an API server checks of a pod beyond its schema: names, references inside the pod, amounts that fit together.

Source: k8s.io/kubernetes/pkg/apis/core/validation; the part that hand-written manifests get wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from contracts.kinds.quantity import amount
from tests.deploy.builds import Object
from tests.deploy.pods import Pod

LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{LABEL_NAME.pattern}(\.{LABEL_NAME.pattern})*")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
LABEL_KEY = re.compile(rf"({SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
PORT_NAME = re.compile(r"(?=[a-z0-9-]{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BY_LABEL = {"Service", "Namespace"}
"""Kinds whose name becomes one word of a host name."""


def of_object(obj: Object) -> Iterator[str]:
    """What is wrong with the metadata of any object."""
    meta = obj["metadata"]
    form = LABEL_NAME if obj["kind"] in BY_LABEL else SUBDOMAIN
    if not obj["apiVersion"].startswith("rbac.") and not form.fullmatch(meta["name"]):
        yield f"name {meta['name']!r}"
    for key, value in (meta.get("labels") or {}).items():
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            yield f"label {key}: {value!r}"
    for key in meta.get("annotations") or {}:
        if not LABEL_KEY.fullmatch(key):
            yield f"annotation {key}"


def of_pod(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    volumes = [volume["name"] for volume in spec.get("volumes") or []] + list(pod.claims)
    yield from _twice("volume", volumes)
    yield from _twice("container", [container["name"] for container in pod.containers])
    yield from _twice("port", [p["name"] for c in spec["containers"] for p in c.get("ports") or []])
    restart = spec.get("restartPolicy", "Always")
    if pod.lasting != (restart == "Always"):
        yield f"restartPolicy {restart} in a {pod.kind}"
    for container in pod.containers:
        yield from (f"container {container['name']}: {each}" for each in _container(container, volumes))


def _container(container: Object, volumes: list[str]) -> Iterator[str]:
    variables = [each["name"] for each in container.get("env") or []]
    yield from _twice("variable", variables)
    yield from (f"variable {name!r}" for name in variables if not VARIABLE.fullmatch(name))
    mounts = container.get("volumeMounts") or []
    yield from _twice("mountPath", [mount["mountPath"] for mount in mounts])
    yield from (f"mounts {m['name']}, which is no volume" for m in mounts if m["name"] not in volumes)
    ports = [port["name"] for port in container.get("ports") or []]
    yield from (f"port {name!r}" for name in ports if not PORT_NAME.fullmatch(name))
    for word in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield from (f"{word}: {each}" for each in _probe(container.get(word) or {}, ports))
    resources = container.get("resources") or {}
    yield from _resources(resources.get("requests") or {}, resources.get("limits") or {})


def _probe(probe: Object, ports: list[str]) -> Iterator[str]:
    for word in ("httpGet", "tcpSocket"):
        port = probe.get(word, {}).get("port")
        if isinstance(port, str) and port not in ports:
            yield f"asks port {port!r}, which the container has not"


def _resources(requests: dict[str, Any], limits: dict[str, Any]) -> Iterator[str]:
    for name, value in requests.items():
        if name in limits and amount(value) > amount(limits[name]):
            yield f"requests {value} of {name} and is limited to {limits[name]}"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"{what} {name} is there {count} times" for name, count in Counter(names).items() if count > 1)
