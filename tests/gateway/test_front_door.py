"""The gateway as an aggregated API: the front proxy's users, several services behind one group and version."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from libs.service.identity import HEADER
from libs.testing.listening import until_open
from tests.aggregated import ApiServer, Authority, Pair, api_server, client_context, trust_of
from tests.gateway.world import LOCAL_TOKEN, World, world
from tests.platform import free_ports

FRONT, SERVING = Authority("front-proxy-ca"), Authority("serving-ca")
PROXY = FRONT.issue("front-proxy-client")
ADA = [("X-Remote-User", "ada"), ("X-Remote-Group", "team-a"), ("X-Remote-Group", "team-b")]


@dataclass
class Gate:
    """A gateway with both listeners."""

    world: World
    cluster: ApiServer
    tls: str
    folder: Path

    async def ask(self, path: str, headers: Any = (), *, pair: Pair | None = PROXY, **more: Any) -> tuple[int, Any]:
        """By the TLS listener."""
        context = client_context(pair, self.folder)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.request(more.pop("method", "GET"), self.tls + path, headers=headers, **more) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def knock(self, path: str, headers: Any = (), **more: Any) -> tuple[int, Any]:
        """By the plain one."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(more.pop("method", "GET"), self.world.url + path, headers=headers, **more) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    [port] = free_ports(1)
    certificate, key = SERVING.issue("gateway", client=False).write(tmp_path)
    async with api_server(tmp_path) as (cluster, kubeconfig):
        cluster.trust = trust_of(FRONT, "front-proxy-client")
        options = {"kubeconfig": kubeconfig, "tls_port": port, "tls_cert_file": certificate, "tls_key_file": key}
        async with world(tmp_path, token_review=True, **options) as running:
            await until_open(port)
            yield Gate(running, cluster, f"https://localhost:{port}", tmp_path)


def identity_in(told: dict[str, Any]) -> dict[str, Any]:
    [token] = [value for name, value in told["headers"] if name == HEADER.lower()]
    return jwt.decode(token, options={"verify_signature": False})


async def test_a_user_of_the_front_proxy_goes_on_as_a_signed_identity(gate: Gate) -> None:
    code, told = await gate.ask("/api/model_registry/v1/models", ADA)
    assert code == 200
    assert identity_in(told)["sub"] == "ada"
    assert identity_in(told)["groups"] == ["team-a", "team-b", "system:authenticated"]
    assert not any(name.startswith("x-remote-") for name, _ in told["headers"])


async def test_one_group_version_of_several_services_is_whole(gate: Gate) -> None:
    code, told = await gate.ask("/apis/toys.example.org/v1", ADA)
    assert code == 200
    assert {"boats", "trains"} <= {each["name"] for each in told["resources"]}
    for kind in ("Boat", "Train"):
        made = {"apiVersion": "toys.example.org/v1", "kind": kind, "metadata": {"name": "one"}}
        path = f"/apis/toys.example.org/v1/namespaces/team/{kind.lower()}s"
        assert (await gate.ask(path, ADA, method="POST", json=made))[0] == 201
        assert (await gate.ask(f"{path}/one", ADA))[0] == 200


async def test_the_cluster_never_gets_its_own_groups_back(gate: Gate) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    code, told = await gate.ask("/apis", [*ADA, ("Accept", accept)])
    assert (code, [each["metadata"]["name"] for each in told["items"]]) == (200, ["toys.example.org"])
    code, told = await gate.ask("/openapi/v3", ADA)
    assert (code, list(told["paths"])) == (200, ["apis/toys.example.org/v1"])
    for path in ("/api/v1/namespaces/team/pods", "/apis/apps/v1/deployments"):
        assert (await gate.ask(path, ADA))[0] == 404
    assert (await gate.ask("/openapi/v2", ADA))[0] == 404
    assert gate.world.node.asked == []


NOT_BELIEVED: dict[str, tuple[Pair | None, list[tuple[str, str]]]] = {
    "no certificate, though the peer is on loopback": (None, []),
    "no certificate, forged headers": (None, ADA),
    "another name of the right authority": (FRONT.issue("somebody"), ADA),
    "the front proxy without a user": (PROXY, []),
}


@pytest.mark.parametrize(("pair", "headers"), NOT_BELIEVED.values(), ids=NOT_BELIEVED.keys())
async def test_who_proves_nothing_is_nobody(gate: Gate, pair: Pair | None, headers: list[tuple[str, str]]) -> None:
    code, told = await gate.ask("/api/model_registry/v1/models", headers, pair=pair)
    assert (code, told["reason"]) == (401, "Unauthorized")
    assert gate.world.pipelines.asked == []


async def test_an_unknown_authority_is_refused_at_the_handshake(gate: Gate) -> None:
    with pytest.raises(aiohttp.ClientError):
        await gate.ask("/apis", ADA, pair=Authority("front-proxy-ca").issue("front-proxy-client"))


async def test_headers_on_the_plain_listener_name_nobody(gate: Gate) -> None:
    code, told = await gate.knock("/api/model_registry/v1/models", [*ADA, ("Authorization", f"Bearer {LOCAL_TOKEN}")])
    assert (code, identity_in(told)["sub"]) == (200, "local-user")


@pytest.mark.parametrize("listener", ["plain", "tls"])
async def test_the_clusters_own_tokens_are_believed_as_the_cluster_says(gate: Gate, listener: str) -> None:
    groups = ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]
    extra = {"authentication.kubernetes.io/pod-name": ["bot-0"]}
    user = {"username": "system:serviceaccount:team:bot", "uid": "u1", "groups": groups, "extra": extra}
    gate.cluster.tokens["account"] = user

    async def ask(token: str) -> tuple[int, Any]:
        headers, path = [("Authorization", f"Bearer {token}")], "/api/model_registry/v1/models"
        return await (gate.knock(path, headers) if listener == "plain" else gate.ask(path, headers, pair=None))

    for _ in range(2):
        code, told = await ask("account")
        claims = identity_in(told)
        assert (code, claims["sub"], claims["groups"]) == (200, user["username"], groups)
        assert (claims["uid"], claims["extra"]) == ("u1", extra)
        assert not any(name == "authorization" for name, _ in told["headers"])
    assert len(gate.cluster.asked) == 1
    assert (await ask("nobody's"))[0] == 401
    gate.cluster.away = True
    code, told = await ask("another")
    assert (code, told["reason"]) == (503, "ServiceUnavailable")
    assert (await ask("account"))[0] == 200


async def test_with_the_clusters_rights_its_api_server_answers_what_one_may_in_the_users_name(tmp_path: Path) -> None:
    token = tmp_path / "token"
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with api_server(tmp_path) as (_, kubeconfig):
        options = {"kubeconfig": kubeconfig, "authorization": "cluster", "node_token_file": str(token)}
        async with world(tmp_path, **options) as running, aiohttp.ClientSession() as session:
            for shown in ("first", "second"):
                token.write_text(f"{shown}\n")
                async with session.post(running.url + path, data=b"k8s\0x") as answer:
                    assert answer.status == 200
                [*_, asked] = running.node.asked
                assert asked.path == path
                assert asked.headers["Authorization"] == f"Bearer {shown}"
                assert asked.headers["Impersonate-User"] == "local-user"
                assert asked.headers.getall("Impersonate-Group") == ["millstream:local", "system:authenticated"]


async def test_with_the_clusters_rights_a_services_own_routes_need_leave_for_the_path(tmp_path: Path) -> None:
    async with api_server(tmp_path) as (cluster, kubeconfig), aiohttp.ClientSession() as session:
        cluster.may = lambda spec: spec["nonResourceAttributes"]["verb"] == "get"
        async with world(tmp_path, kubeconfig=kubeconfig, authorization="cluster") as running:
            url = running.url + "/api/model_registry/v1/models"
            async with session.get(url) as answer:
                assert answer.status == 200
            for path in (url, f"{running.url}/api/v1/namespaces/x/services/ml-pipeline/proxy/apis/v2beta1/runs"):
                async with session.post(path) as answer:
                    told = await answer.json()
                    assert (answer.status, told["reason"]) == (403, "Forbidden")
            assert told["message"] == 'forbidden: User "local-user" cannot post path "/millstream/apis/v2beta1/runs"'
            # It checks a credential of its own, which is nobody's at the cluster.
            async with session.post(f"{running.url}/apis/v2beta1/jobs/x/progress") as answer:
                assert answer.status == 200
            async with session.get(f"{running.url}/apis") as answer:
                assert answer.status == 200
    asked = cluster.asked[0]["nonResourceAttributes"]
    assert asked == {"path": "/millstream/api/model_registry/v1/models", "verb": "get"}


async def test_what_the_cluster_lets_everybody_discover_opens_no_services_own_routes(tmp_path: Path) -> None:
    """As ClusterRole system:discovery does; a service's figures are for those who may see figures."""
    discovery = ("/api", "/api/", "/apis", "/apis/", "/openapi", "/openapi/", "/healthz", "/livez", "/readyz")
    async with api_server(tmp_path) as (cluster, kubeconfig), aiohttp.ClientSession() as session:
        cluster.may = lambda spec: spec["nonResourceAttributes"]["path"].startswith(discovery)
        async with world(tmp_path, kubeconfig=kubeconfig, authorization="cluster") as running:
            proxy = f"{running.url}/api/v1/namespaces/x/services"
            for url in (
                f"{running.url}/api/model_registry/v1/models",
                f"{proxy}/ml-pipeline/proxy/api/model_registry/v1/models",
                f"{proxy}/ml-pipeline/proxy//api//model_registry/v1/models",
                f"{proxy}/boats/proxy/metrics",
            ):
                async with session.get(url) as answer:
                    assert answer.status == 403, url
            async with session.get(f"{proxy}/boats/proxy/livez") as answer:
                assert answer.status == 200


async def test_a_name_that_a_header_would_change_is_not_told_to_the_cluster(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    options = {"node_token_file": str(token), "local_user_name": " admin"}
    async with world(tmp_path, **options) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/api/v1/secrets") as answer:
            assert answer.status == 403
        assert running.node.asked == []
