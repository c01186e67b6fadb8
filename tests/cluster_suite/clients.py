"""Existing clients, unmodified, against this cluster: the programs of tests/clients, each in its own environment."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.clients.conftest import HERE, environment
from tests.clients.models import Iris, store_iris
from tests.clients.readme import block
from tests.cluster_suite.api import is_served
from tests.cluster_suite.world import World
from tests.e2e.load import service
from tests.platform import run


class ClientFailure(Exception):
    """A client's program did not get what it should; the message quotes it."""


@dataclass(frozen=True)
class Desk:
    """What all programs are given: their kubeconfig, the platform's address, a folder of their own."""

    world: World
    folder: Path
    kubeconfig: Path

    def program(self, client: str, program: str, /, **given: Any) -> dict[str, Any]:
        """What programs/<program>.py prints after RESULT, in the environment of `client`."""
        assert self.world.ways is not None
        bin_folder = environment(client)
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        env = {**kept, **self.world.ways.reach.s3, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)}
        env["AWS_S3_ENDPOINT"] = env["AWS_ENDPOINT_URL"]
        command = [str(bin_folder / "python"), str(HERE / "programs" / f"{program}.py"), json.dumps(given)]
        try:
            printed = run(command, env, timeout_s=900)
        except AssertionError as error:
            raise ClientFailure(f"{program}: {str(error)[-1500:]}") from error
        return dict(json.loads(printed.rsplit("RESULT ", 1)[1]))


def clients(world: World) -> str:
    """Every program; one that fails does not keep the others from being tried. Raises ClientFailure at the end."""
    with tempfile.TemporaryDirectory(prefix="millstream-suite-") as folder:
        desk = Desk(world, Path(folder), kubeconfig_for(world, Path(folder)))
        failed = [name for name, work in PROGRAMS.items() if not _tried(world, name, lambda: work(desk))]  # noqa: B023
    if failed:
        raise ClientFailure(f"failed: {', '.join(failed)}")
    return ", ".join(PROGRAMS)


def _tried(world: World, name: str, work: Callable[[], str]) -> bool:
    began = time.monotonic()
    try:
        words = work()
    except Exception as error:  # a client's own surprise is a finding, not the end of the suite
        world.report.add(f"clients: {name}", "failed", time.monotonic() - began, str(error))
        return False
    world.report.add(f"clients: {name}", "passed", time.monotonic() - began, words)
    world.tell(f"{name}: {words}")
    return True


def kubeconfig_for(world: World, folder: Path) -> Path:
    """The cluster's own API server where it serves our groups, else the gateway; in the suite's namespace."""
    door = world.door
    if is_served(world.kubectl):
        config = world.kubectl.object("config", "view", "--raw", "--minify", "--flatten")
        for one in config["contexts"]:
            one["context"]["namespace"] = door.namespace
    else:
        context = {"cluster": "millstream", "user": "millstream", "namespace": door.namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "millstream",
            "clusters": [{"name": "millstream", "cluster": {"server": door.url}}],
            "users": [{"name": "millstream", "user": {"token": door.token}}],
            "contexts": [{"name": "millstream", "context": context}],
        }
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def expect(what: str, found: Any, wanted: Any) -> None:
    """Raises ClientFailure when they differ."""
    if found != wanted:
        raise ClientFailure(f"{what}: expected {wanted!r}, got {found!r}")


def _kubeflow(desk: Desk) -> str:
    snippet = desk.folder / "train.py"
    snippet.write_text(block("python", "import CustomTrainer"))
    told = desk.program("kubeflow", "kubeflow_train", snippet=str(snippet))
    expect("status", told["status"], "Complete")
    lines = [line for step in told["logs"].values() for line in step]
    for rank in (0, 1):
        expect(f"rank {rank} in the logs", any(f"rank {rank} of 2" in line for line in lines), True)
    expect("gone after delete_job", told["gone"], True)
    return "trained a function on two nodes, followed its log, deleted it"


def _registry(desk: Desk) -> str:
    url = urlsplit(desk.world.door.url)
    http = f"{url.scheme}://{url.hostname}:{url.port or 80}"
    told = desk.program("model-registry", "registry", http=http, token=desk.world.door.token)
    expect("properties", told["properties"], {"acc": 0.95, "n": 3, "s": "x", "b": True})
    expect("versions", told["versions"], ["1", "2", "3", "4", "5"])
    expect("the uploaded artifact", told["stored"], "weights")
    return "registered, updated, listed and uploaded"


def _kserve(desk: Desk) -> str:
    iris = _iris(desk)
    door = desk.world.door
    given = {"name": "suite-iris", "uri": iris.uri, "rows": iris.rows, "token": door.token}
    told = desk.program("kserve", "kserve_service", **given, namespace=door.namespace, door=door.url)
    expect("ready", told["ready"], True)
    expect("answers over V2 and V1", (told["rest"], told["v1"]), (iris.expected, iris.expected))
    expect("patched", told["patched"], "patched")
    return "created, asked over V1 and V2, patched, deleted (gRPC is not reached from outside the cluster)"


def _triton(desk: Desk) -> str:
    iris, door, name = _iris(desk), desk.world.door, "suite-flowers"
    with desk.world.client() as client:
        client.apply(service(name, iris.uri), door.namespace)
        path = urlsplit(client.wait("inferenceservices", name, "Ready", door.namespace, 300)["status"]["url"]).path
        given = {"name": name, "rows": iris.rows, "url": door.url + path, "grpc_url": "", "token": door.token}
        told = desk.program("tritonclient", "triton", **given)
        client.delete("inferenceservices", name, door.namespace)
    expect("inference over HTTP", told["http"], {"live": True, "ready": True, "values": iris.expected})
    return "ready, live and binary tensors over HTTP (gRPC is not reached from outside the cluster)"


def _iris(desk: Desk) -> Iris:
    assert desk.world.ways is not None
    return store_iris(desk.world.ways.reach, "tests/suite/iris")  # type: ignore[arg-type]


PROGRAMS: dict[str, Callable[[Desk], str]] = {
    "Kubeflow SDK": _kubeflow,
    "model-registry": _registry,
    "KServe SDK": _kserve,
    "tritonclient": _triton,
}
