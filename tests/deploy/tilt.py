"""Runs the Tiltfile in a Starlark interpreter with Tilt's builtins recorded, signatures as Tilt documents them.

Source of names and parameters: the Tiltfile API reference of Tilt 0.30 (docs.tilt.dev/api.html). A name or a keyword
that is not there fails as in Tilt. What a builtin would do to a cluster is written down instead.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

ROOT = Path(__file__).resolve().parents[2]
AUTO, MANUAL = "TRIGGER_MODE_AUTO", "TRIGGER_MODE_MANUAL"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet")
PRELUDE = """
config = struct(
    define_string_list = _define_string_list, define_string = _define_string, define_bool = _define_bool,
    parse = _parse, main_dir = "", tilt_subcommand = "up",
)
os = struct(path = struct(exists = _exists), getcwd = lambda: ".")
_naming = []
def workload_to_resource_function(fn):
    _naming.append(fn)
"""
EPILOGUE = """
for _one in _workloads():
    _named(_one, _naming[-1](struct(**_one)) if _naming else _one["name"])
"""


class Blob:
    """Text that Tilt does not take for a path."""

    def __init__(self, text: str) -> None:
        self.text = text


class TiltError(Exception):
    """What Tilt would refuse; the message says why."""


@dataclass
class Tilt:
    """One evaluation: `args` are the words after `tilt up --`, flags as {"registry": "..."}."""

    services: Sequence[str] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    context: str = "kind-dev"
    documents: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    locals: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    registry: str = ""
    allowed: list[str] = field(default_factory=list)
    defined: dict[str, bool] = field(default_factory=dict)

    def run(self, path: Path = ROOT / "Tiltfile") -> Tilt:
        """Evaluates the file; raises StarlarkError or TiltError."""
        module = starlark.Module()
        for name, builtin in self._builtins().items():
            module.add_callable(name, builtin)
        module["TRIGGER_MODE_AUTO"], module["TRIGGER_MODE_MANUAL"] = AUTO, MANUAL
        for name, text in (("prelude", PRELUDE), (path.name, path.read_text()), ("epilogue", EPILOGUE)):
            starlark.eval(module, starlark.parse(name, text, _dialect()), _globals())
        return self

    # what Tilt documents

    def _builtins(self) -> dict[str, Callable[..., Any]]:
        documented = (
            self.version_settings, self.allow_k8s_contexts, self.k8s_context, self.default_registry, self.docker_build,
            self.sync, self.run_, self.fall_back_on, self.k8s_yaml, self.k8s_resource, self.port_forward,
            self.local_resource, self.local, self.read_file, self.read_yaml, self.kustomize, self.decode_yaml_stream,
            self.encode_yaml_stream, self.fail,
        )  # fmt: skip
        own = (self._define_string_list, self._define_string, self._define_bool, self._parse, self._exists)
        own += (self._workloads, self._named)
        made = {one.__name__.removesuffix("_"): _unpacked(one) for one in documented}
        return made | {one.__name__: one for one in own} | {"str": lambda x: x.text if isinstance(x, Blob) else str(x)}

    def version_settings(self, check_updates: bool = True, constraint: str = "") -> None: ...

    def allow_k8s_contexts(self, contexts: Any) -> None:
        self.allowed += [contexts] if isinstance(contexts, str) else contexts

    def k8s_context(self) -> str:
        return self.context

    def default_registry(self, host: str, host_from_cluster: str | None = None, single_name: str = "") -> None:
        self.registry = host

    def docker_build(  # type: ignore[no-untyped-def]
        self, ref, context, build_args=None, dockerfile="Dockerfile", dockerfile_contents="", live_update=(),
        match_in_env_vars=False, ignore=(), only=(), entrypoint=(), target="", ssh="", network="", secret="",
        extra_tag="", container_args=None, cache_from=(), pull=False, platform="",
    ) -> None:  # fmt: skip
        if ref in self.images:
            raise TiltError(f"image {ref} has been defined already")
        order = [step["step"] for step in live_update]
        rank = {"fall_back_on": 0, "sync": 1, "run": 2}
        if order != sorted(order, key=rank.__getitem__):
            raise TiltError(f"live_update of {ref}: fall_back_on comes before sync, sync before run: {order}")
        self.images[ref] = {
            "context": context, "dockerfile": dockerfile, "build_args": build_args or {}, "only": list(only),
            "live_update": list(live_update),
        }  # fmt: skip

    def sync(self, local_path: str, remote_path: str) -> dict[str, Any]:
        if not remote_path.startswith("/"):
            raise TiltError(f"sync to {remote_path}: the path in the container must be absolute")
        return {"step": "sync", "local": local_path, "remote": remote_path}

    def run_(self, cmd: Any, trigger: Any = ()) -> dict[str, Any]:
        return {"step": "run", "cmd": cmd}

    def fall_back_on(self, files: Any) -> dict[str, Any]:
        return {"step": "fall_back_on", "files": [files] if isinstance(files, str) else files}

    def k8s_yaml(self, yaml: Any, allow_duplicates: bool = False) -> None:
        if not isinstance(yaml, Blob):
            raise TiltError(f"{yaml!r:.80} is no Blob: Tilt would look for a file of that name")
        self.documents += _documents(yaml.text)

    def k8s_resource(  # type: ignore[no-untyped-def]
        self, workload="", new_name="", port_forwards=(), extra_pod_selectors=(), trigger_mode=AUTO, resource_deps=(),
        objects=(), auto_init=True, pod_readiness="", links=(), labels=(), discovery_strategy="",
    ) -> None:  # fmt: skip
        if not workload and not (new_name and objects):
            raise TiltError("k8s_resource wants a workload, or objects and a new_name")
        name = new_name or workload
        if name in self.resources:
            raise TiltError(f"k8s_resource {name} is configured twice")
        self.resources[name] = {
            "workload": workload, "objects": list(objects), "ports": list(port_forwards), "deps": list(resource_deps),
            "labels": list(labels), "auto_init": auto_init, "trigger_mode": trigger_mode,
        }  # fmt: skip

    def port_forward(  # type: ignore[no-untyped-def]
        self, local_port, container_port=None, name=None, link_path=None, host=None
    ) -> dict[str, Any]:
        return {"local": local_port, "container": container_port}

    def local_resource(  # type: ignore[no-untyped-def]
        self, name, cmd="", deps=None, trigger_mode=AUTO, resource_deps=(), ignore=(), auto_init=True, serve_cmd="",
        cmd_bat="", serve_cmd_bat="", allow_parallel=False, links=(), tags=(), env=None, serve_env=None,
        readiness_probe=None, dir="", serve_dir="", labels=(),
    ) -> None:  # fmt: skip
        self.locals[name] = {
            "cmd": cmd, "serve_cmd": serve_cmd, "deps": list(resource_deps), "trigger_mode": trigger_mode,
            "auto_init": auto_init,
        }  # fmt: skip

    def local(  # type: ignore[no-untyped-def]
        self, command, quiet=False, command_bat="", echo_off=False, env=None, dir="", stdin=None
    ) -> Blob:
        words = ["sh", "-c", command] if isinstance(command, str) else command
        return Blob(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    def read_file(self, file_path: str, default: str | None = None) -> Blob:
        return Blob((ROOT / file_path).read_text())

    def read_yaml(self, path: str, default: Any = None) -> Any:
        return yaml.safe_load((ROOT / path).read_text())

    def kustomize(self, pathToDir: str, kustomize_bin: str | None = None) -> Blob:
        kubectl = ROOT / ".venv" / "bin" / "kubectl"
        done = subprocess.run(
            [kubectl, "kustomize", str(ROOT / pathToDir)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TiltError(done.stderr)
        return Blob(done.stdout)

    def decode_yaml_stream(self, yaml: Any) -> list[Any]:
        return _documents(yaml.text if isinstance(yaml, Blob) else yaml)

    def encode_yaml_stream(self, objs: list[Any]) -> Blob:
        _encodable(objs)
        return Blob(yaml.safe_dump_all(objs))

    def fail(self, msg: str) -> None:
        raise TiltError(msg)

    # config and os.path

    def _define_string_list(self, name: str, args: bool = False, usage: str = "") -> None:
        self.defined[name] = args

    def _define_string(self, name: str, args: bool = False, usage: str = "") -> None:
        self.defined[name] = args

    def _define_bool(self, name: str, args: bool = False, usage: str = "") -> None:
        self.defined[name] = args

    def _parse(self) -> dict[str, Any]:
        if unknown := set(self.flags) - set(self.defined):
            raise TiltError(f"unknown flag: {unknown}")
        takes_words = [name for name, args in self.defined.items() if args]
        words = {takes_words[0]: list(self.services)} if self.services else {}
        return dict(self.flags) | words

    def _exists(self, path: str) -> bool:
        return (ROOT / path).exists()

    def _workloads(self) -> list[dict[str, str]]:
        return [
            {"name": d["metadata"]["name"], "kind": d["kind"].lower(), "namespace": d["metadata"].get("namespace", "")}
            for d in self.documents
            if d["kind"] in WORKLOADS
        ]

    def _named(self, one: dict[str, str], name: str) -> None:
        if name in self.names.values():
            raise TiltError(f"two workloads are called {name}")
        self.names[one["kind"], one["name"]] = name


def _unpacked(builtin: Callable[..., Any]) -> Callable[..., Any]:
    """Blobs travel through Starlark as objects that it cannot look into."""

    def call(*args: Any, **named: Any) -> Any:
        told = builtin(*args, **named)
        return starlark.OpaquePythonObject(told) if isinstance(told, Blob) else told

    return call


def _encodable(tree: Any) -> None:
    """Tilt encodes "maps with string keys, lists, strings, ints, and bools"."""
    if isinstance(tree, dict):
        tree = [*tree, *tree.values()]
    if isinstance(tree, list):
        for part in tree:
            _encodable(part)
    elif not isinstance(tree, str | int | bool):
        raise TiltError(f"{tree!r} cannot be encoded")


def _documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def _dialect() -> starlark.Dialect:
    dialect = starlark.Dialect.extended()
    dialect.enable_f_strings = False  # Tilt's Starlark has none
    dialect.enable_types = starlark.DialectTypes.DISABLE
    return dialect


def _globals() -> starlark.Globals:
    return starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
