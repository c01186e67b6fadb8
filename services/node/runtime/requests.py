"""What the spawner is told to run for a ContainerSpec; it must not assume which kind of view is possible here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from services.node.ports import ContainerSpec
from services.node.runtime import images, pyargs
from services.node.runtime.paths import CONTAINER_MARK, HOME_MARK, POD_MARK, HomePaths, safe

ROOT = Path(__file__).resolve().parents[3]
HOSTNAME_CHARS_MAX = 64  # of the kernel; a longer one is cut as kubelet does
WARM = "MILLSTREAM_WARM"
FIRST_TO_STOP, SERVICES, INFRASTRUCTURE = 0, 1, 2


def request_for(
    paths: HomePaths, spec: ContainerSpec, *, hostname: str, ml: bool, log_bytes_max: int
) -> dict[str, Any]:
    """The start order, with the folders it names made. Raises ValueError on an empty argv or an unusable name."""
    if not spec.argv:
        raise ValueError(f"container {spec.name!r} has an empty argv")
    own = images.is_platform(spec.image, paths.recipes)
    environment = images.platform() if own else images.for_pod(paths, spec.pod_uid, spec.image)
    work = _made(paths.pod(spec.pod_uid) / f"work-{safe(spec.name)}")
    variables = _variables(paths, spec, environment, work, hostname)
    argv = list(spec.argv)
    python = environment.python_arguments(argv, variables) if pyargs.forkable(variables) else None
    if python is not None and pyargs.parse(python) is None:
        python = None
    return {
        **{"pod": spec.pod_uid, "name": spec.name, "attempt": spec.attempt, "argv": argv, "env": variables},
        **{"cwd": spec.cwd or str(work), "memory": spec.limits.memory_bytes, "cpu": spec.limits.cpu_cores},
        **_warmth(python is not None and variables.get(WARM) != "none", spec, own, ml),
        **{"python": python, "log_bytes_max": log_bytes_max},
        "layout": _layout(environment),
        "hosts": str(paths.hosts(spec.pod_uid)),
        "view": _view(paths, spec, work, hostname),
        "stop_order": _stop_order(spec, own),
        "trusted": spec.trusted,
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _variables(
    paths: HomePaths, spec: ContainerSpec, environment: images.Environment, work: Path, hostname: str
) -> dict[str, str]:
    tmp = _made(paths.pod(spec.pod_uid) / f"tmp-{spec.name}")
    tmp.chmod(0o1777)
    defaults = {**environment.variables(), "HOME": str(work), "HOSTNAME": hostname, "LANG": "C.UTF-8"}
    marks = {POD_MARK: spec.pod_uid, HOME_MARK: str(paths.home), CONTAINER_MARK: spec.name}
    variables = {**defaults, **spec.env, **marks}
    if not environment.sites:
        given = [spec.env["PYTHONPATH"]] if spec.env.get("PYTHONPATH") else []
        variables["PYTHONPATH"] = ":".join([*given, str(ROOT), str(ROOT / "sdk")])
    return variables


def _warmth(forkable: bool, spec: ContainerSpec, own: bool, ml: bool) -> dict[str, Any]:
    """Which fork servers would do, best first, and which to wait for when none of them is ready.

    The hint MILLSTREAM_WARM=ml|platform|python|none in a container's environment decides; otherwise the image's name
    does.
    """
    if not forkable:
        return {"zygotes": [], "await": None}
    hint = spec.env.get(WARM)
    if hint == "python":
        return {"zygotes": ["python"], "await": "python"}
    wants_ml = ml and (hint == "ml" or (hint is None and not own and images.has_torch(spec.image)))
    if wants_ml:
        return {"zygotes": ["ml"], "await": "ml"}
    return {"zygotes": ["platform"] if own or not ml else ["ml", "platform"], "await": "platform"}


def _layout(environment: images.Environment) -> dict[str, Any]:
    sites = [str(folder) for folder in environment.sites]
    return {"executable": str(environment.python), "prefix": str(environment.prefix), "sites": sites}


def _view(paths: HomePaths, spec: ContainerSpec, work: Path, hostname: str) -> dict[str, Any]:
    pod = paths.pod(spec.pod_uid)
    shown: list[tuple[str, str, bool]] = []
    if not spec.trusted:
        own = [(pod / "env", False), (work, False), (_made(paths.images), True), (paths.environments, True)]
        shown += [(str(folder), str(folder), read_only) for folder, read_only in own if folder.is_dir()]
    else:  # again, because the home may lie below a folder that is read-only from here on
        shown.append((str(paths.home), str(paths.home), False))
    shown.append((str(paths.hosts(spec.pod_uid)), "/etc/hosts", True))
    for mount in spec.mounts:
        source = Path(mount.host_path)
        if not source.exists():
            source.mkdir(parents=True)
        shown.append((str(source.resolve()), mount.mount_path, mount.read_only))
    tmp = str(pod / f"tmp-{spec.name}")
    return {
        "root": str(_made(paths.run / "root")),  # each pod lays its own over it, which nobody else sees
        "hostname": hostname[:HOSTNAME_CHARS_MAX],
        "covered": [] if spec.trusted else [(tmp, "/tmp")],
        "hidden": [] if spec.trusted else [str(paths.home)],
        "shown": shown,
        "read_only": sorted({sys.base_prefix, sys.prefix, str(ROOT)} - {"/"}),
        "tmp": tmp,
    }


def _stop_order(spec: ContainerSpec, own: bool) -> int:
    if not spec.trusted:
        return FIRST_TO_STOP
    return SERVICES if "millstream/" in spec.image or not own else INFRASTRUCTURE
