"""A laptop's platform is backed up while jobs flow, destroyed, and comes back in another home: every object, event,
offset and byte; and what was unfinished then finishes exactly once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from millstream.backup.places import of_home
from millstream.client import Client
from millstream.errors import ClientError
from millstream.home import Home

from libs.blobs import Endpoint, S3Blobs
from tests.e2e import broker, flow
from tests.platform import Platform, free_ports, processes_of, started, until

MODEL = "kept"
KINDS = (
    "namespaces", "secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts", "services", "jobs", "pods",
    "trainjobs", "trainingruntimes", "clustertrainingruntimes", "inferenceservices",
)  # fmt: skip
OBJECTS = {"datasets/a b/ü.bin": bytes(range(256)) * 999, "empty": b"", "models/x/1": b"weights"}
SYSTEM = "millstream-system"
USERS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"a": "b"}}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "team"}, "stringData": {"k": "ü"}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team"}, "data": {"k": "v"}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc", "namespace": "team"},
     "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}},
    {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "vol", "namespace": "team"},
     "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
]  # fmt: skip


@dataclass
class Backups:
    """Two archives of one platform that is gone, and what it was."""

    live: Path
    quiet: Path
    facts: dict[str, Any]
    token: str


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Backups:
    folder = tmp_path_factory.mktemp("backup")
    with started(folder / "home") as platform, Client.from_home(platform.home) as client:
        furnish(platform, client)
        done = [f"done-{i}" for i in range(6)]
        for name in done:
            flow.insist(client, flow.small_job(name, MODEL))
        flow.wait_all_over(client, done, 120)
        flowing = [f"flow-{i:02}" for i in range(16)]
        feeder = threading.Thread(target=feed, args=(platform.home, flowing))
        feeder.start()
        until(lambda: len(client.list("trainjobs")) >= 10, 60, "jobs in flow")
        platform.run("backup", str(folder / "live"))
        assert "runs: `millstream down` first" in platform.run("restore", str(folder / "live"), check=False)
        feeder.join()
        flow.wait_all_over(client, [*done, *flowing], 180)
        until(lambda: len(flow.insist_versions(client, MODEL)) == 22, 60, "all versions")
        until(lambda: settled(platform), 60, "all events settled")
        facts = facts_of(platform, client)
        platform.run("backup", str(folder / "quiet.tar.gz"))
        token = platform.token
    shutil.rmtree(platform.home)
    return Backups(folder / "live", folder / "quiet.tar.gz", facts, token)


def furnish(platform: Platform, client: Client) -> None:
    for manifest in USERS:
        client.apply(manifest)
    claim = platform.home / "data" / "team" / "vol"
    until(claim.is_dir, 30, "the claim's folder")
    (claim / "deep").mkdir()
    (claim / "deep" / "file").write_bytes(b"kept")
    (claim / "deep" / "link").symlink_to("file")

    async def put() -> None:
        blobs = bucket(platform)
        for key, data in OBJECTS.items():
            await blobs.put(key, data)
        blobs.close()
        async with broker.connected(platform) as nats:
            js = nats.jetstream()
            await js.publish("millstream.training.trainjob.succeeded.v1.default", b"{}", timeout=10)  # a dead letter

    asyncio.run(put())
    until(lambda: len(broker.dead(platform)) >= 1, 60, "a dead letter")


def feed(home: Path, names: list[str]) -> None:
    with Client.from_home(home) as client:
        for name in names:
            flow.insist(client, flow.small_job(name, MODEL, seconds=4))


def bucket(platform: Platform) -> S3Blobs:
    env = platform.env
    keys = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    return S3Blobs(Endpoint(env["AWS_ENDPOINT_URL"], *keys), "millstream")


def settled(platform: Platform) -> bool:
    async def ask() -> bool:
        async with broker.connected(platform) as nats:
            pending = await broker.pending(nats, ("trainer", "scheduler", "registry", "serving"))
        return not any(pending.values())

    unsaid = [said for name in ("trainer", "scheduler", "registry") for said in flow.change_log(platform, name)]
    return all(said.marked for said in unsaid) and asyncio.run(ask())


def facts_of(platform: Platform, client: Client) -> dict[str, Any]:
    """Everything that must come back equal."""
    return {
        "objects": {kind: objects(client, kind) for kind in KINDS},
        "registry": {path: listed(client, path) for path in ("registered_models", "model_versions", "artifacts")},
        "bucket": asyncio.run(contents(platform)),
        "streams": asyncio.run(streams_of(platform)),
        "dead": [raw.data for raw in broker.dead(platform)],
    }


def objects(client: Client, kind: str) -> dict[str, Any]:
    """By namespace and name, without what belongs to a machine (see millstream.backup)."""
    found = {}
    for obj in client.list(kind, None):
        meta = obj["metadata"]
        space = meta.get("namespace", "")
        if space == SYSTEM:
            if kind != "pods":
                found[f"{space}/{meta['name']}"] = meta["uid"]  # `up` applies this home's own contents
            continue
        if kind == "pods" and obj["status"]["phase"] not in ("Succeeded", "Failed"):
            continue
        if kind == "services" and obj["spec"].get("clusterIP") != "None":
            obj["spec"] = {key: value for key, value in obj["spec"].items() if not key.startswith("clusterIP")}
            meta.pop("resourceVersion")  # it gets a new address
        found[f"{space}/{meta['name']}"] = obj
    return found


def listed(client: Client, path: str) -> list[dict[str, Any]]:
    answer = client.request("GET", f"/api/model_registry/v1/{path}", params={"pageSize": "500"}).json()
    return sorted(answer["items"], key=lambda item: int(item["id"]))


async def contents(platform: Platform) -> dict[str, bytes]:
    blobs = bucket(platform)
    found = {blob.key: await blobs.read(blob.key) for blob in await blobs.list("")}
    blobs.close()
    return found


async def streams_of(platform: Platform) -> list[tuple[Any, ...]]:
    """(sequence, time, subject, headers, bytes) of every event."""
    async with broker.connected(platform) as nats:
        js = nats.jetstream()
        last = (await js.stream_info("millstream")).state.last_seq
        messages = [await js.get_msg("millstream", seq) for seq in range(1, last + 1)]
    return [(m.seq, m.time, m.subject, m.headers, m.data) for m in messages]


def offsets_at_rest(home: Path) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with of_home(Home(home)).streams() as streams:
            assert streams is not None
            return {name: await streams.consumers("millstream") for name in ("millstream",)}

    return asyncio.run(ask())


def restored(home: Path, archive: Path) -> Platform:
    http, https = free_ports(2)
    platform = Platform(home, f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")
    platform.run("restore", str(archive))
    return platform


@contextmanager
def running(home: Path) -> Iterator[tuple[Platform, Client]]:
    with started(home) as platform, Client.from_home(home) as client:
        yield platform, client


@pytest.mark.timeout(600)
def test_every_object_event_offset_and_byte_comes_back_in_another_home(backups: Backups, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    restored(home, backups.quiet)
    offsets = offsets_at_rest(home)["millstream"]
    assert set(offsets) == {"trainer", "scheduler", "registry", "serving", "pipelines", "tuner"}
    assert all(in_hand == 0 for _, in_hand in offsets.values())
    assert max(floor for floor, _ in offsets.values()) == len(backups.facts["streams"])
    with running(home) as (platform, client):
        now = facts_of(platform, client)
        assert platform.token == backups.token, "clients' tokens go on working"
        for kind in KINDS:
            assert now["objects"][kind] == backups.facts["objects"][kind], kind
        for part in ("registry", "bucket", "dead"):
            assert now[part] == backups.facts[part], part
        assert OBJECTS.items() <= now["bucket"].items(), "beside them lie the logs of the jobs"
        assert now["streams"][: len(backups.facts["streams"])] == backups.facts["streams"]
        assert now["streams"][len(backups.facts["streams"]) :] == [], "nothing is said again"
        claim = home / "data" / "team" / "vol" / "deep"
        assert ((claim / "link").readlink(), (claim / "link").read_bytes()) == (Path("file"), b"kept")
        old = int(next(iter(now["objects"]["trainjobs"].values()))["metadata"]["resourceVersion"])
        flow.insist(client, flow.small_job("after", MODEL))
        assert flow.wait_all_over(client, ["after"], 60)["after"] == "Complete"
        until(lambda: len(flow.insist_versions(client, MODEL)) == 23, 60, "the version of a job after the restore")
        assert int(client.get("trainjobs", "after")["metadata"]["resourceVersion"]) > old + 1_000_000
        path = client.resource("trainjobs").path("default")
        with pytest.raises(ClientError, match="too old resource version") as gone:
            client.request("GET", path, params={"watch": "true", "resourceVersion": str(old), "timeoutSeconds": "5"})
        assert gone.value.code == 410, "who watched from before must list again"


@pytest.mark.timeout(600)
def test_what_was_unfinished_at_the_backup_finishes_exactly_once(backups: Backups, tmp_path: Path) -> None:
    home = tmp_path / "again"
    restored(home, backups.live)
    with running(home) as (platform, client):
        names = [job["metadata"]["name"] for job in client.list("trainjobs")]
        assert len(names) >= 10
        ended = flow.wait_all_over(client, names, 240)
        assert set(ended.values()) == {"Complete"}, ended
        until(lambda: len(flow.insist_versions(client, MODEL)) >= len(names), 60, "all versions")
        until(lambda: settled(platform), 60, "all events settled")
        recorded = [version["name"] for version in flow.versions(client, MODEL)]
        assert len(recorded) == len(set(recorded)) == len(names)
        letters = [letter for letter in broker.letters(platform) if letter.get("id")]
        ids = Counter(letter["id"] for letter in letters)
        assert max(ids.values()) == 1, "a letter lies on the stream twice"
        uids = {job["metadata"]["uid"] for job in client.list("trainjobs")}
        for kind in ("training.trainjob.created.v1", "training.trainjob.succeeded.v1"):
            told = Counter(x["data"]["uid"] for x in letters if x["type"] == kind)
            assert told == dict.fromkeys(uids, 1), kind
        assert workloads(home) <= uids, "the scheduler knows a job that nobody has"


def workloads(home: Path) -> set[str]:
    """The uids that the scheduler keeps."""
    with sqlite3.connect(f"file:{home}/data/{SYSTEM}/data/scheduler.db?mode=ro", uri=True) as db:
        query = "SELECT body FROM objects WHERE resource = 'workloads.kueue.x-k8s.io'"
        bodies = [json.loads(row[0]) for row in db.execute(query)]
    return {body["metadata"]["ownerReferences"][0]["uid"] for body in bodies}


def names_in(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*")}


@pytest.mark.timeout(300)
def test_a_home_is_restored_whole_or_not_at_all(backups: Backups, tmp_path: Path) -> None:
    home = tmp_path / "home"
    http, https = free_ports(2)
    platform = Platform(home, f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")
    left = []
    for after_s in (0.7, 1.5, 2.2, 2.6, 3.0):
        said = platform.run_for("restore", str(backups.live), seconds=after_s)
        left += [names_in(home)] if home.exists() else []
        assert home.exists() or "restored:" not in said, said
        until(lambda: not processes_of(home), 30, "the broker of a killed restore is killed by the kernel too")
        shutil.rmtree(home, ignore_errors=True)
    platform.run("restore", str(backups.live))
    assert all(names == names_in(home) for names in left), "what was there was not whole"
    kept = json.loads((home / "secrets.json").read_text())
    said = platform.run("restore", str(backups.live), check=False)
    assert "is not empty; --force moves it aside" in said.replace("\n", " ")
    (home / "mine").write_text("precious")
    assert "before-restore" in platform.run("restore", str(backups.live), "--force")
    assert (tmp_path / "home.before-restore" / "mine").read_text() == "precious"
    assert json.loads((home / "secrets.json").read_text()) == kept
    platform.run("backup", str(tmp_path / "at-rest.tar"))
    assert processes_of(home) == {}, "the NATS server of the backup has ended"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at-rest.tar", "home", "home.before-restore"]
