"""kubectl at a cluster's API server, whose front proxy passes it on: the real trainer process behind, a real node that
knows accounts and rights. Only the front proxy is a stand-in, which presents its certificate as the real one does.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from libs.service.identity import make_keys
from services.node.adapters.place import Place
from services.node.app import Node, Options, running
from services.node.reconcile.kinds import ACCOUNT, CONFIGMAP, NAMESPACE
from services.node.runtime.control import stop_everything
from services.node.runtime.local import LocalRuntime, RuntimeConfig
from tests.aggregated import KUBECONFIG, Authority, FrontProxy, answering, client_context, server_context, trust_of
from tests.platform import free_ports

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one cluster for all of them; the last one takes it down
ROOT = Path(__file__).resolve().parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"
FRONT, SERVING = Authority("front-proxy-ca"), Authority("millstream-ca")
USERS = {
    "ada-token": ("ada", ["system:masters", "system:authenticated"]),
    "eve-token": ("eve", ["system:authenticated"]),
    "bob-token": ("bob", ["system:masters", "system:authenticated"]),
}
JOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "digits", "namespace": "default"},
    "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": {"numNodes": 1, "command": ["true"]}},
}


@dataclass
class Kubectl:
    """kubectl of one user; `server` is the stand-in."""

    server: str
    folder: Path
    token: str = "ada-token"

    def command(self, *words: str) -> list[str]:
        where = ["--server", self.server, "--certificate-authority", str(self.folder / "api.pem")]
        return [str(KUBECTL), *where, "--token", self.token, "--cache-dir", str(self.folder / self.token), *words]

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "KUBECONFIG": str(self.folder / "none")}

    async def __call__(self, *words: str, stdin: str = "", code: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            *self.command(*words), stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.STDOUT, env=self.env
        )
        out, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        assert process.returncode == code, f"kubectl {words}: {out.decode()}"
        return out.decode()

    def of(self, token: str) -> "Kubectl":
        return Kubectl(self.server, self.folder, token)


@dataclass
class Cluster:
    kubectl: Kubectl
    trainer: str
    folder: Path
    node: AsyncExitStack
    """Closing it takes the API server away."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    tmp_path = tmp_path_factory.mktemp("cluster")
    async with AsyncExitStack() as stack:
        nodes = await stack.enter_async_context(AsyncExitStack())
        node = await nodes.enter_async_context(_node(tmp_path / "node"))
        kubeconfig = await _prepare(node, tmp_path)
        trainer = await stack.enter_async_context(_trainer(tmp_path, kubeconfig))
        certificate = FRONT.issue("front-proxy-client")
        proxy = FrontProxy(trainer, client_context(certificate, tmp_path, SERVING.pem), USERS)
        stack.push_async_callback(proxy.close)
        api = Authority("kubernetes")
        (tmp_path / "api.pem").write_text(api.pem)
        server = await answering(stack, proxy.handle, server_context(api.issue("apiserver", client=False), tmp_path))
        yield Cluster(Kubectl(server, tmp_path), trainer, tmp_path, nodes)


def _place(home: Path) -> Place:
    home.mkdir()
    (home / "token").write_text("owner")
    place = Place(home)
    place.claim()
    return place


@asynccontextmanager
async def _node(home: Path) -> AsyncIterator[Node]:
    place = _place(home)
    runtime = await LocalRuntime.open(home, RuntimeConfig(warm_platform=False, ml="off"))
    try:
        async with running(Options(home), runtime, place) as node:
            yield node
    finally:
        await runtime.close()
        await asyncio.to_thread(stop_everything, home, 0.5, 10)


async def _prepare(node: Node, folder: Path) -> str:
    """What a cluster has and `deploy/` makes; the kubeconfig is the trainer's own account."""
    make, where = node.resources.create, "millstream-system"
    for name in ("kube-system", where):
        if await node.resources.find(NAMESPACE, "", name) is None:
            await make(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    trust = {"metadata": {"name": "extension-apiserver-authentication"}, "data": trust_of(FRONT, "front-proxy-client")}
    await make(CONFIGMAP, {"apiVersion": "v1", "kind": "ConfigMap", **trust}, namespace="kube-system")
    await make(
        ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}}, namespace=where
    )
    path = f"{node.url}/api/v1/namespaces/{where}/serviceaccounts/trainer/token"
    owner = {"Authorization": "Bearer owner"}
    async with aiohttp.ClientSession() as session, session.post(path, json={"spec": {}}, headers=owner) as answer:
        token = (await answer.json())["status"]["token"]
    found = folder / "trainer.kubeconfig"
    found.write_text(KUBECONFIG.format(server=node.url).replace("service-account", token))
    return str(found)


@asynccontextmanager
async def _trainer(folder: Path, kubeconfig: str) -> AsyncIterator[str]:
    """The process; gives the address of its TLS listener."""
    http, tls = free_ports(2)
    certificate, key = SERVING.issue("trainer.millstream-system.svc", client=False).write(folder)
    told = {
        "HOST": "127.0.0.1", "PORT": http, "TLS_PORT": tls, "TLS_CERT_FILE": certificate, "TLS_KEY_FILE": key,
        "AUTHORIZATION": "cluster", "KUBECONFIG": kubeconfig, "IDENTITY_PUBLIC_KEY": make_keys()[1],
        "STORE_URL": f"sqlite:///{folder}/trainer.db", "LINGER_S": 0,
    }  # fmt: skip
    env = {"PATH": os.environ["PATH"], **{f"MILLSTREAM_{name}": str(value) for name, value in told.items()}}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.trainer", env=env, cwd=ROOT)
    try:
        await _until_ready(f"http://127.0.0.1:{http}/readyz?strict", tls)
        yield f"https://localhost:{tls}"
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def _until_ready(url: str, tls: int) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    _, writer = await asyncio.open_connection("127.0.0.1", tls)
                    writer.close()
                    if answer.status == 200:
                        return
            except (OSError, aiohttp.ClientError):
                pass
            await asyncio.sleep(0.05)


async def test_kubectl_works_as_at_any_kind_of_the_cluster(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    assert "trainjobs" in await kubectl("api-resources", "--api-group", "trainer.kubeflow.org")
    assert "KIND:       TrainJob" in await kubectl("explain", "trainjob")
    assert "No resources found" in await kubectl("get", "trainjobs")
    watching = await asyncio.create_subprocess_exec(
        *kubectl.command("get", "trainjobs", "-w"), stdout=PIPE, env=kubectl.env
    )
    try:
        assert "created" in await kubectl("apply", "-f", "-", stdin=json.dumps(JOB))
        assert "unchanged" in await kubectl("apply", "-f", "-", stdin=json.dumps(JOB))
        assert watching.stdout is not None
        head = await asyncio.wait_for(watching.stdout.readline(), 30)
        assert head.split()[0] == b"NAME"
        assert (await asyncio.wait_for(watching.stdout.readline(), 30)).split()[0] == b"digits"
    finally:
        watching.kill()
        await watching.wait()
    labelled = {**JOB, "metadata": {**JOB["metadata"], "labels": {"team": "a"}}}  # type: ignore[dict-item]
    assert "serverside-applied" in await kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(labelled)
    )
    assert "digits" in await kubectl("get", "trainjobs", "-l", "team=a")
    assert "deleted" in await kubectl("delete", "trainjob", "digits", "--timeout=30s")
    assert "NotFound" in await kubectl("get", "trainjob", "digits", code=1)


async def test_who_has_no_right_in_the_cluster_has_none_here(cluster: Cluster) -> None:
    await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(JOB))
    eve = cluster.kubectl.of("eve-token")
    told = await eve("get", "trainjobs", code=1)
    assert (
        'Error from server (Forbidden): trainjobs.trainer.kubeflow.org is forbidden: User "eve" cannot list resource'
        ' "trainjobs" in API group "trainer.kubeflow.org" in the namespace "default"'
    ) in told
    assert "Forbidden" in await eve("delete", "trainjob", "digits", code=1)
    assert "digits" in await cluster.kubectl("get", "trainjobs", "-o", "name")
    assert "deleted" in await cluster.kubectl("delete", "trainjob", "digits", "--timeout=30s")


FORGED: dict[str, tuple[Any, str]] = {
    "no certificate": (None, "401"),
    "another name of the right authority": (FRONT.issue("somebody"), "401"),
    "another authority": (Authority("front-proxy-ca").issue("front-proxy-client"), "ended"),
}


@pytest.mark.parametrize(("pair", "outcome"), FORGED.values(), ids=FORGED.keys())
async def test_headers_without_the_front_proxys_certificate_name_nobody(
    cluster: Cluster, pair: Any, outcome: str
) -> None:
    path = f"{cluster.trainer}/apis/trainer.kubeflow.org/v1alpha1/trainjobs"
    forged = {"X-Remote-User": "ada", "X-Remote-Group": "system:masters"}
    context = client_context(pair, cluster.folder)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        try:
            async with session.get(path, headers=forged) as answer:
                told = str(answer.status)
        except aiohttp.ClientError:
            told = "ended"
    assert told == outcome


async def test_without_the_api_server_nobody_gets_in_and_afterwards_the_service_still_stands(cluster: Cluster) -> None:
    assert "No resources found" in await cluster.kubectl("get", "trainjobs")
    await cluster.node.aclose()
    told = await cluster.kubectl.of("bob-token")("get", "trainjobs", code=1)
    assert "ServiceUnavailable" in told and "SubjectAccessReview" in told
