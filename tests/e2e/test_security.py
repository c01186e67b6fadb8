"""What a stranger, a neighbour service and a user's own pod cannot do to a running platform."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import nats
import nats.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from millstream.client import Client
from nats.aio.client import Client as Nats

from libs.testing.web import web_server
from tests.platform import Platform, processes_of, until

SYSTEM = "millstream-system"
SERVICES = ("gateway", "pipelines", "registry", "scheduler", "serving", "trainer")
JOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "ordinary", "namespace": "default", "annotations": {"millstream.dev/model-name": "ordinary"}},
    "spec": {
        "runtimeRef": {"name": "python"},
        "trainer": {"numNodes": 1, "command": ["python", "-c", "print('trained')"]},
    },
}


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    with Client(platform.http, platform.token) as found:
        yield found


def addresses(client: Client) -> dict[str, str]:
    """Address of each pod of the platform, by the name of its owner."""
    pods = client.list("pods", SYSTEM)
    return {p["metadata"]["name"].rsplit("-", 2)[0].removesuffix("-0"): p["status"]["podIP"] for p in pods}


def node_url(platform: Platform) -> str:
    return str(json.loads((platform.home / "run" / "node.json").read_text())["url"])


def passwords(platform: Platform) -> dict[str, str]:
    return dict(json.loads((platform.home / "secrets.json").read_text()))


# who asks


def test_a_forged_identity_is_taken_off_at_the_gateway(platform: Platform) -> None:
    forged = jwt.encode(
        {"sub": "root", "groups": ["system:masters"], "aud": "millstream", "iat": int(time.time()), "exp": 2**31},
        Ed25519PrivateKey.generate(),
        algorithm="EdDSA",
    )
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    told = httpx.post(platform.http + review, json={}, headers={"X-Millstream-Identity": forged})
    assert told.json()["status"]["userInfo"]["username"] == "local-user"
    secrets = httpx.get(
        f"{platform.http}/api/v1/namespaces/{SYSTEM}/secrets", headers={"X-Millstream-Identity": forged}
    )
    assert secrets.status_code == 403, secrets.text


@pytest.mark.parametrize("service", SERVICES[1:])
def test_a_service_that_is_asked_behind_the_gateways_back_answers_401(
    platform: Platform, client: Client, service: str
) -> None:
    claims = {"sub": "root", "groups": ["system:masters"], "aud": "millstream", "iat": int(time.time())}
    key = Ed25519PrivateKey.generate()
    own = jwt.encode({**claims, "exp": claims["iat"] + 60}, key, algorithm="EdDSA")
    none = jwt.encode({**claims, "exp": claims["iat"] + 60}, None, algorithm="none")  # type: ignore[arg-type]
    base = f"http://{addresses(client)[service]}:8080"
    for path in ("/apis", "/api/model_registry/v1/registered_models", "/openapi/v3"):
        for headers in (
            {},
            {"X-Millstream-Identity": "x"},
            {"X-Millstream-Identity": own},
            {"X-Millstream-Identity": none},
            {"Authorization": f"Bearer {platform.token}"},
        ):
            answer = httpx.get(base + path, headers=headers)
            assert answer.status_code == 401, (path, list(headers), answer.text)
            assert answer.json()["kind"] == "Status"


def test_the_node_believes_no_stranger(platform: Platform) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"X-Millstream-Identity": "x"}):
        assert httpx.get(f"{node_url(platform)}/api/v1/secrets", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "localhost@evil.example"},
        {"X-Forwarded-Host": "evil.example", "Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
        {"X-Forwarded-Host": "evil.example"},
    ],
    ids=lambda headers: "_".join(f"{k}={v}" for k, v in headers.items()),
)
def test_a_foreign_page_in_the_local_browser_is_not_the_local_user(platform: Platform, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{platform.http}/api/v1/namespaces", headers=headers)
    assert answer.status_code in (400, 401, 403, 404, 421), answer.text


def test_who_shows_no_token_reaches_neither_the_platforms_secrets_nor_its_pods(platform: Platform) -> None:
    api = f"{platform.http}/api/v1/namespaces/{SYSTEM}"
    assert httpx.get(f"{platform.http}/api/v1/namespaces/default/pods").status_code == 200
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "spy"},
        "spec": {"containers": [{"name": "c", "image": "millstream/x", "command": ["true"]}]},
    }
    refused = [
        httpx.get(f"{api}/secrets"),
        httpx.get(f"{platform.http}/api/v1/secrets"),
        httpx.get(f"{platform.http}/api/v1/secrets?watch=true"),
        httpx.get(f"{api}/secrets/nats-config"),
        httpx.post(f"{api}/pods", json=pod),
        httpx.post(f"{api}/serviceaccounts/trainer/token", json={}),
        httpx.delete(f"{api}"),
        httpx.delete(f"{api}/pods"),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert all(answer.json()["reason"] == "Forbidden" for answer in refused)


# the broker and the object store


async def _as(platform: Platform, user: str, told: list[str]) -> Nats:
    server = platform.env["NATS_URL"].rpartition("@")[2]

    async def hear(error: Exception) -> None:
        told.append(str(error))

    password = passwords(platform)[user]
    return await nats.connect(
        f"nats://{server}", user=user, password=password, inbox_prefix=f"_INBOX.{user}", error_cb=hear
    )


async def test_one_services_broker_user_cannot_speak_for_another(platform: Platform) -> None:
    told: list[str] = []
    nc = await _as(platform, "registry", told)
    try:
        subjects = [
            "millstream.training.trainjob.created.v1.default",
            "millstream.training.trainjob.apply.v1.default",
            "dead.trainer.training.trainjob.apply.v1.default",
            "$JS.API.STREAM.DELETE.millstream",
            "$JS.API.STREAM.PURGE.millstream",
            "$JS.API.STREAM.UPDATE.millstream",
            "$JS.API.STREAM.MSG.DELETE.millstream",
            "$JS.API.STREAM.MSG.GET.millstream",
            "$JS.API.DIRECT.GET.millstream",
            "$JS.API.STREAM.CREATE.mine",
            "$JS.API.CONSUMER.DELETE.millstream.trainer",
            "$JS.API.CONSUMER.MSG.NEXT.millstream.trainer",
            "$JS.API.CONSUMER.DURABLE.CREATE.millstream.trainer",
            "$JS.API.CONSUMER.CREATE.millstream",
            "$JS.ACK.millstream.trainer.1.1.1.1.1",
            "_INBOX.trainer.x",
            "$SYS.REQ.SERVER.PING",
        ]
        for subject in subjects:
            await nc.publish(subject, b"{}")
        await nc.flush()
        for subject in (">", "millstream.>", "_INBOX.>", "_INBOX.trainer.>", "dead.>", "$JS.>"):
            await nc.subscribe(subject)
            subjects.append(subject)
        await nc.flush()
        async with asyncio.timeout(30):
            while len(told) < len(subjects):  # noqa: ASYNC110  (the client tells of errors one by one)
                await asyncio.sleep(0.05)
        for subject in subjects:
            assert any(f'"{subject.lower()}"' in each.lower() for each in told), (subject, told)
        assert len(told) == len(subjects)
        assert (await nc.jetstream().stream_info("millstream")).config.name == "millstream"
    finally:
        await nc.close()


async def test_the_broker_and_the_object_store_take_nobody_without_a_credential(platform: Platform) -> None:
    server = platform.env["NATS_URL"].rpartition("@")[2]
    with pytest.raises(nats.errors.Error):
        await nats.connect(f"nats://{server}", allow_reconnect=False, max_reconnect_attempts=0)
    s3 = platform.env["AWS_ENDPOINT_URL"]
    for method, path in (("GET", "/"), ("GET", "/millstream"), ("PUT", "/mine"), ("PUT", "/millstream/x")):
        answer = await asyncio.to_thread(httpx.request, method, s3 + path)
        assert answer.status_code in (400, 401, 403), (method, path)  # rclone: 400 for a missing signature


# a user's pod

SPY = """
import glob, json, os, socket, urllib.error, urllib.request
home, gateway, node, trainer = os.environ["LOOK_FOR"].split(",")
def can(path):
    try:
        open(path, "rb").read(1)
        return True
    except OSError:
        return False
def code(url, **headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
mine = os.environ["MILLSTREAM_POD_UID"].encode()
seen = []
for path in ("token", "secrets.json", "kubeconfig", "env", "node/store.db", "node/keys/identity.pem", "tls/ca.key"):
    for root in ("", *glob.glob("/proc/[0-9]*/root"), *glob.glob("/proc/[0-9]*/cwd/../../../..")):
        if can(f"{root}{home}/{path}"):
            seen.append(f"{root}{home}/{path}")
environs = []
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        text = open(path, "rb").read()
    except OSError:
        continue
    if text and mine not in text:
        environs.append(path)
memory = [path for path in glob.glob("/proc/[0-9]*/mem") if path.split("/")[2] != str(os.getpid()) and can(path)]
account = "/var/run/secrets/kubernetes.io/serviceaccount/token"
token = open(account).read() if os.path.exists(account) else ""
bearer = {"Authorization": "Bearer " + token}
print(json.dumps({
    "files": seen, "environs": environs, "memory": memory, "account": bool(token),
    "pods of others": os.listdir(home + "/node/pods") if os.path.isdir(home + "/node/pods") else [],
    "node": [code(node + "/api/v1/namespaces/default/secrets", **bearer), code(node + "/api/v1/pods", **bearer)],
    "service": code(trainer + "/apis"),
    "gateway": code(gateway + "/api/v1/namespaces/millstream-system/secrets"),
}))
"""


@pytest.mark.timeout(120)
def test_a_users_pod_sees_nothing_of_the_home_of_its_neighbours_or_of_the_platform(
    platform: Platform, client: Client
) -> None:
    look = f"{platform.home},{platform.http},{node_url(platform)},http://{addresses(client)['trainer']}:8080"
    container = {
        "name": "main",
        "image": "python:3.11",
        "command": ["python", "-c", SPY],
        "env": [{"name": "LOOK_FOR", "value": look}],
    }
    neighbour = {"name": "main", "image": "python:3.11", "command": ["sleep", "60"],
                 "env": [{"name": "MY_SECRET", "value": "neighbours"}]}  # fmt: skip
    for name, each in (("neighbour", neighbour), ("spy", container)):
        client.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"restartPolicy": "Never", "containers": [each]},
            }
        )
        if name == "neighbour":
            until(lambda: _phase(client, "neighbour") == "Running", 30, "the neighbour runs")
    until(lambda: _phase(client, "spy") in ("Succeeded", "Failed"), 60, "the spy ended")
    log = client.request("GET", "/api/v1/namespaces/default/pods/spy/log").text
    told = json.loads(log.strip().splitlines()[-1])
    uid = client.get("pods", "spy", "default")["metadata"]["uid"]
    assert told.pop("pods of others") == [uid]
    assert told.pop("account") is True
    assert told == {"files": [], "environs": [], "memory": [], "node": [403, 403], "service": 401, "gateway": 403}


def _phase(client: Client, name: str) -> str:
    return str((client.get("pods", name, "default").get("status") or {}).get("phase"))


def test_a_models_address_is_fetched_by_its_own_pod_alone(platform: Platform, client: Client) -> None:
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(_pod_behind(platform, self.client_address[1]))
            self.send_error(404)

        do_HEAD = do_GET

    with web_server(Server) as url:
        model = {"modelFormat": {"name": "sklearn"}, "storageUri": f"{url}/latest/meta-data/model.joblib"}
        try:
            client.apply(
                {
                    "apiVersion": "serving.kserve.io/v1beta1",
                    "kind": "InferenceService",
                    "metadata": {"name": "ssrf", "namespace": "default"},
                    "spec": {"predictor": {"model": model}},
                }
            )
            until(lambda: asked, 60, "the model was asked for")
        finally:
            client.request("DELETE", "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/ssrf")
    users = {p["metadata"]["uid"] for p in client.list("pods", SYSTEM)}
    assert all(uid and uid not in users for uid in asked), asked


def _pod_behind(platform: Platform, port: int) -> str:
    """The pod uid of the process of this platform whose connection comes from `port`."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) == port}
    for pid in processes_of(platform.home):
        if inodes & _sockets(pid):
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            return next(
                (each.decode().partition("=")[2] for each in environ if each.startswith(b"MILLSTREAM_POD_UID=")), ""
            )
    return ""


def _sockets(pid: int) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(str(fd.readlink()))
        except OSError:
            continue
    return found


# what lies about


def secrets_of(platform: Platform) -> dict[str, bytes]:
    """Every password, token and key of a home, by where it is kept; of a key one line from its middle."""
    found = {name: value.encode() for name, value in passwords(platform).items()}
    found["token"] = platform.token.encode()
    for folder in ("node/keys", "tls"):
        for path in (platform.home / folder).iterdir():
            if "PRIVATE" in path.read_text():
                found[path.name] = path.read_text().strip().splitlines()[1].encode()[-40:]
    assert {"token", "trainer", "s3", "identity.pem", "server.key"} <= found.keys()
    return found


@pytest.mark.timeout(150)
def test_after_a_job_no_secret_is_in_a_log_a_command_line_or_an_event(platform: Platform, client: Client) -> None:
    client.apply(JOB)
    until(lambda: _over(client), 90, "the job is over")
    kept = secrets_of(platform)
    logs = [*(platform.home / "logs").rglob("*"), *(platform.home / "node" / "pods").glob("*/logs/**/*")]
    texts = {str(path): path.read_bytes() for path in logs if path.is_file()}
    assert len(texts) > len(SERVICES)
    texts |= {f"ps {pid}": line.encode() for pid, line in processes_of(platform.home).items()}
    texts["events"] = json.dumps(client.list("events", "default") + client.list("events", SYSTEM)).encode()
    texts["letters"] = asyncio.run(_letters(platform))
    assert b"training.trainjob.succeeded.v1" in texts["letters"]
    leaks = [(where, name) for where, text in texts.items() for name, value in kept.items() if value in text]
    assert not leaks


def _over(client: Client) -> bool:
    conditions = (client.get("trainjobs", "ordinary", "default").get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


async def _letters(platform: Platform) -> bytes:
    """All that was ever said, as it lies in the stream."""
    nc = await nats.connect(platform.env["NATS_URL"])
    js = nc.jetstream()
    last = (await js.stream_info("millstream")).state.last_seq
    found = [await js.get_msg("millstream", seq) for seq in range(1, last + 1)]
    await nc.close()
    return b"\n".join((each.data or b"") + json.dumps(each.headers or {}).encode() for each in found)


def test_the_files_of_a_home_are_its_owners_alone(platform: Platform) -> None:
    # Programs of images and what users' pods write have their own modes, behind closed doors.
    open_inside = ("node/images/", "node/pods/")
    bad = []
    for folder, folders, files in os.walk(platform.home):
        for name in (*folders, *files):
            path = Path(folder, name)
            inside = str(path.relative_to(platform.home)).startswith(open_inside)
            if not path.is_symlink() and not inside and (found := _mode(path)) & 0o077:
                bad.append(f"{oct(found)} {path}")
    assert not bad
    assert _mode(platform.home) == 0o700
    assert _mode(platform.home / "node") == _mode(platform.home / "node" / "keys") == 0o700


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    listening: dict[str, str] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            row = line.split()
            if row[3] in ("0A", "07"):
                listening[f"socket:[{row[9]}]"] = f"{table} {row[1]}"
    ours = {listening[each] for pid in processes_of(platform.home) for each in _sockets(pid) if each in listening}
    assert len(ours) > len(SERVICES)
    beyond = [each for each in ours if not _on_loopback(each.split()[1].partition(":")[0])]
    assert not beyond


def _on_loopback(address: str) -> bool:
    """Of an address as /proc/net writes it: hexadecimal words in the machine's byte order."""
    if len(address) == 8:
        return address.endswith("7F")
    return address == "0" * 24 + "01000000" or (address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F"))
