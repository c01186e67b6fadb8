"""The TLS listener before a service: whom it believes, and what it does while certificates change."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from libs.base import SystemClock
from libs.cluster import Cluster
from libs.service.delegation import Delegation
from libs.service.identity import HEADER, Signer, User, make_keys
from libs.service.runner import listen
from libs.service.shell import Service, serve
from libs.service.tls import Files, listen_tls
from libs.testing.listening import until_open
from tests.aggregated import ApiServer, Authority, Pair, api_server, client_context, trust_of
from tests.platform import free_ports
from tests.service.toy import settings, toy_app

PRIVATE, PUBLIC = make_keys()
FRONT, CLIENTS, SERVING = Authority("front-proxy-ca"), Authority("kubernetes"), Authority("serving-ca")
PROXY = FRONT.issue("front-proxy-client")
JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs"
ADA = {"X-Remote-User": "ada", "X-Remote-Group": "team-a"}


@dataclass
class Door:
    """One toy service with both listeners."""

    tls: str
    http: str
    cluster: ApiServer
    service: Service
    folder: Path

    async def ask(
        self, pair: Pair | None = PROXY, headers: Any = (), *, path: str = JOBS, method: str = "GET", json: Any = None
    ) -> tuple[int, dict[str, Any]]:
        context = client_context(pair, self.folder)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.request(method, self.tls + path, headers=headers, json=json) as answer,
        ):
            return answer.status, await answer.json()


@asynccontextmanager
async def door(folder: Path, **more: Any) -> AsyncIterator[Door]:
    [port] = free_ports(1)
    async with api_server(folder) as (cluster, kubeconfig):
        cluster.trust = trust_of(FRONT, "front-proxy-client", client=CLIENTS)
        given = {
            "kubeconfig": kubeconfig, "tls_port": port, "authorization": "cluster", "insecure": False,
            "identity_public_key": PUBLIC, **more,
        }  # fmt: skip
        async with serve(toy_app(), settings(folder, **given)) as service:
            assert service.front is not None
            service.front._every_s = 0.1
            files = Files(*SERVING.issue("one", client=False).write(folder))
            async with (
                listen(service.asgi, "127.0.0.1", 0) as http,
                listen_tls(service.asgi, "127.0.0.1", port, files, service.front, SystemClock(), every_s=0.1),
            ):
                await until_open(port)
                yield Door(f"https://localhost:{port}", http, cluster, service, folder)
                service.begin_stop()


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Door]:
    async with door(tmp_path) as opened:
        yield opened


async def test_the_front_proxy_is_believed_and_the_cluster_asked_about_just_this_request(toy: Door) -> None:
    extra = [
        *ADA.items(),
        ("X-Remote-Group", "team-b"),
        ("X-Remote-Extra-Acme.io%2fProject", "x"),
        ("X-Remote-Uid", "7"),
    ]
    code, told = await toy.ask(headers=extra)
    assert (code, told["kind"]) == (200, "TrainJobList")
    assert toy.cluster.asked == [
        {
            "user": "ada",
            "uid": "7",
            "groups": ["team-a", "team-b", "system:authenticated"],
            "extra": {"acme.io/project": ["x"]},
            "resourceAttributes": {
                "verb": "list",
                "group": "trainer.kubeflow.org",
                "version": "v1alpha1",
                "resource": "trainjobs",
                "namespace": "team",
            },
        }
    ]


async def test_an_answer_of_the_cluster_is_remembered_for_a_while_by_user_and_request(toy: Door) -> None:
    for _ in range(3):
        await toy.ask(headers=ADA)
    await toy.ask(headers={**ADA, "X-Remote-Group": "team-b"})
    assert len(toy.cluster.asked) == 2


async def test_who_may_not_gets_the_status_that_kubernetes_words_so(toy: Door) -> None:
    toy.cluster.may = lambda spec: spec["resourceAttributes"]["verb"] == "get"
    code, told = await toy.ask(headers=ADA)
    assert (code, told["reason"]) == (403, "Forbidden")
    assert told["message"] == (
        'trainjobs.trainer.kubeflow.org is forbidden: User "ada" cannot list resource "trainjobs"'
        ' in API group "trainer.kubeflow.org" in the namespace "team"'
    )
    code, told = await toy.ask(headers=ADA, method="DELETE", path=f"{JOBS}/one")
    assert (code, told["details"]["name"]) == (403, "one")
    assert 'trainjobs.trainer.kubeflow.org "one" is forbidden' in told["message"]


async def test_while_the_cluster_cannot_be_asked_nothing_is_allowed(toy: Door) -> None:
    toy.cluster.away = True
    code, told = await toy.ask(headers=ADA)
    assert (code, told["reason"]) == (503, "ServiceUnavailable")
    toy.cluster.away = False
    assert (await toy.ask(headers=ADA))[0] == 200


async def test_rights_are_asked_for_on_the_plain_listener_too(toy: Door) -> None:
    toy.cluster.may = lambda spec: False
    identity = Signer(PRIVATE, SystemClock()).sign(User("ada", ("team-a",), extra=(("k", ("v",)),)))
    async with aiohttp.ClientSession() as session, session.get(toy.http + JOBS, headers={HEADER: identity}) as answer:
        assert answer.status == 403
    assert toy.cluster.asked[0]["extra"] == {"k": ["v"]}


async def test_discovery_and_health_need_no_leave(toy: Door) -> None:
    toy.cluster.may = lambda spec: False
    for path in ("/apis", "/apis/trainer.kubeflow.org/v1alpha1", "/openapi/v3", "/version"):
        assert (await toy.ask(headers=ADA, path=path))[0] == 200, path
    assert (await toy.ask(headers=ADA, path="/openapi/v2"))[0] == 404
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context(None, toy.folder))) as session,
        session.get(f"{toy.tls}/healthz") as answer,
    ):
        assert await answer.text() == "ok"


NOT_BELIEVED: dict[str, tuple[Pair | None, dict[str, str]]] = {
    "no certificate, forged headers": (None, ADA),
    "another name of the right authority": (FRONT.issue("somebody"), ADA),
    "the front proxy without headers": (PROXY, {}),
    "the front proxy with an empty user": (PROXY, {"X-Remote-User": "", "X-Remote-Group": "system:masters"}),
    "groups alone": (PROXY, {"X-Remote-Group": "system:masters"}),
    "an identity that the gateway signed": (None, {HEADER: "x"}),
    "a bearer token of nobody": (None, {"Authorization": "Bearer nobody's"}),
}


@pytest.mark.parametrize(("pair", "headers"), NOT_BELIEVED.values(), ids=NOT_BELIEVED.keys())
async def test_who_proves_nothing_gets_a_401(toy: Door, pair: Pair | None, headers: dict[str, str]) -> None:
    if HEADER in headers:
        headers = {HEADER: Signer(PRIVATE, SystemClock()).sign(User("ada", ("system:masters",)))}
    code, told = await toy.ask(pair, headers)
    assert (code, told["kind"], told["reason"]) == (401, "Status", "Unauthorized")
    assert not any("resourceAttributes" in spec for spec in toy.cluster.asked)


REFUSED_AT_THE_HANDSHAKE = {
    "an authority that is not the cluster's": Authority("front-proxy-ca").issue("front-proxy-client"),
    "a certificate that has expired": FRONT.issue("front-proxy-client", ends=timedelta(seconds=-5)),
    "a serving certificate of the right authority": FRONT.issue("front-proxy-client", client=False),
}


@pytest.mark.parametrize("pair", REFUSED_AT_THE_HANDSHAKE.values(), ids=REFUSED_AT_THE_HANDSHAKE.keys())
async def test_a_certificate_that_cannot_be_verified_ends_the_connection(toy: Door, pair: Pair) -> None:
    with pytest.raises(aiohttp.ClientError):
        await toy.ask(pair, ADA)
    assert toy.cluster.asked == []


async def test_headers_are_nothing_on_the_plain_listener(toy: Door) -> None:
    async with aiohttp.ClientSession() as session, session.get(toy.http + JOBS, headers=ADA) as answer:
        assert answer.status == 401


async def test_a_client_certificate_speaks_for_itself_whatever_headers_come_with_it(toy: Door) -> None:
    grace = CLIENTS.issue("grace", "admins")
    assert (await toy.ask(grace, ADA))[0] == 200
    assert toy.cluster.asked[0]["user"] == "grace"
    assert toy.cluster.asked[0]["groups"] == ["admins", "system:authenticated"]


async def test_a_bearer_token_is_believed_when_the_cluster_does(toy: Door) -> None:
    account = {"username": "system:serviceaccount:team:bot", "uid": "1", "groups": ["system:serviceaccounts"]}
    toy.cluster.tokens["good"] = account
    assert (await toy.ask(None, {"Authorization": "Bearer good"}))[0] == 200
    assert toy.cluster.asked[-1]["user"] == "system:serviceaccount:team:bot"
    assert "system:authenticated" in toy.cluster.asked[-1]["groups"]


async def test_a_front_proxy_vouched_for_by_an_intermediate_authority_is_believed(toy: Door) -> None:
    middle = Authority("middle", above=FRONT)
    leaf = middle.issue("front-proxy-client")
    chained = Pair(leaf.certificate + middle.pem, leaf.key)
    assert (await toy.ask(chained, ADA))[0] == 200
    toy.cluster.trust = trust_of(middle, "front-proxy-client")
    await _until(lambda: toy.service.front.trust.front_proxy_ca == middle.pem.strip())  # type: ignore[union-attr]
    await _until_told(toy, PROXY, None)
    await _until_told(toy, chained, 200)


async def _until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 (what changes is in another room and tells nobody)
            await asyncio.sleep(0.02)


async def _until_told(toy: Door, pair: Pair, outcome: int | None) -> None:
    """Until a new connection with `pair` gets this code, None meaning that it is ended."""
    async with asyncio.timeout(30):
        told: int | None = 0
        while told != outcome:
            try:
                told = (await toy.ask(pair, ADA))[0]
            except aiohttp.ClientError:
                told = None
            await asyncio.sleep(0.02)


async def test_a_new_authority_in_the_configmap_counts_at_once_and_the_old_one_no_more(toy: Door) -> None:
    new = Authority("front-proxy-ca-2")
    context = client_context(PROXY, toy.folder)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.get(toy.tls + JOBS, headers=ADA) as answer:
            assert answer.status == 200
            await answer.read()
        toy.cluster.trust = trust_of(new)
        await _until(lambda: toy.service.front.trust.front_proxy_ca == new.pem.strip())  # type: ignore[union-attr]
        # The connection was verified against the old authority and is still open: it means nothing any more.
        async with session.get(toy.tls + JOBS, headers=ADA) as answer:
            assert answer.status == 401
    await _until_told(toy, new.issue("any name"), 200)
    await _until_told(toy, PROXY, None)


async def test_a_certificate_changes_while_requests_flow_and_none_fails(toy: Door) -> None:
    seen, codes = set[str](), list[int]()
    context = client_context(PROXY, toy.folder, SERVING.pem)
    over = asyncio.Event()

    async def flow(fresh: bool) -> None:
        connector = aiohttp.TCPConnector(ssl=context, force_close=fresh)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not over.is_set():
                async with session.get(toy.tls + JOBS, headers=ADA) as answer:
                    codes.append(answer.status)
                    if answer.connection and answer.connection.transport:
                        connection = answer.connection.transport.get_extra_info("ssl_object")
                        seen.add(_name(connection.getpeercert(True)))
                    await answer.read()

    async with asyncio.TaskGroup() as group:
        for fresh in (True, True, False):
            group.create_task(flow(fresh))
        for name in ("one", "two", "three"):
            SERVING.issue(name, client=False).write(toy.folder)
            await _until(lambda name=name, before=len(codes): f"CN={name}" in seen and len(codes) > before + 6)
        over.set()
    assert set(codes) == {200}


def _name(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


async def test_a_configmap_that_cannot_be_used_leaves_the_trust_as_it_was(toy: Door) -> None:
    good = toy.cluster.trust
    block = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
    for wrong in (
        {"requestheader-allowed-names": "front-proxy-client"},
        {"requestheader-client-ca-file": block.format("é")},
        {"requestheader-client-ca-file": block.format("bm90IGEgY2VydGlmaWNhdGU=")},
    ):
        toy.cluster.trust = {**good, **wrong}
        await _until(lambda: toy.service.front._problem != "")  # type: ignore[union-attr]
        assert (await toy.ask(headers=ADA))[0] == 200
        toy.cluster.trust = good
        await _until(lambda: toy.service.front._problem == "")  # type: ignore[union-attr]
    toy.cluster.trust = {**good, "requestheader-client-ca-file": f"# an authority of ours: é\n{FRONT.pem}"}
    await _until(lambda: toy.service.front.trust.client_ca == CLIENTS.pem.strip())  # type: ignore[union-attr]
    assert (await toy.ask(headers=ADA))[0] == 200
    toy.cluster.trust = {}
    await _until_told(toy, PROXY, None)


async def test_half_a_change_leaves_the_old_certificate_in_use(toy: Door) -> None:
    (toy.folder / "tls.crt").write_text(SERVING.issue("two", client=False).certificate)
    await asyncio.sleep(0.4)
    assert (await toy.ask(headers=ADA))[0] == 200


async def test_before_there_is_a_certificate_the_plain_listener_serves_and_the_other_refuses(tmp_path: Path) -> None:
    [port] = free_ports(1)
    async with api_server(tmp_path) as (cluster, kubeconfig):
        cluster.trust = trust_of(FRONT)
        front = Delegation(await Cluster.connect(kubeconfig), SystemClock())
        async with serve(toy_app(), settings(tmp_path, kubeconfig=kubeconfig)) as service:
            files = Files(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
            async with listen_tls(service.asgi, "127.0.0.1", port, files, front, SystemClock(), every_s=0.05):
                await asyncio.sleep(0.2)
                with pytest.raises(OSError):
                    await asyncio.open_connection("127.0.0.1", port)
                SERVING.issue("late", client=False).write(tmp_path)
                await until_open(port)
                context = client_context(None, tmp_path, SERVING.pem)
                _, writer = await asyncio.open_connection("localhost", port, ssl=context)
                assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
                writer.close()
        await front._cluster.close()


async def test_what_is_older_than_tls_1_2_is_refused(toy: Door) -> None:
    context = client_context(PROXY, toy.folder)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("localhost", int(toy.tls.rpartition(":")[2]), ssl=context)


async def test_readiness_names_a_configmap_that_cannot_be_read(toy: Door) -> None:
    async def strict() -> int:
        async with aiohttp.ClientSession() as session, session.get(f"{toy.http}/readyz?strict") as answer:
            return answer.status

    await _until(lambda: toy.service.front._problem == "")  # type: ignore[union-attr]
    toy.cluster.away = True
    await _until(lambda: toy.service.front._problem != "")  # type: ignore[union-attr]
    assert "does not answer" in await toy.service.front.check()  # type: ignore[union-attr]
