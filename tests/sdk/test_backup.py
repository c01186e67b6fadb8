"""A platform that is named by URLs, as on a cluster: its stores, streams and bucket go out and come back, whatever the
engines, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from millstream.backup.places import migrations

from libs.base import SystemClock, SystemIds
from libs.blobs import Endpoint, S3Blobs
from libs.bus import Bus
from libs.bus.snapshots import Streams
from libs.service.app import Given
from libs.service.shell import serve
from libs.store import Store
from libs.store.dump import reflected, rows, shape
from libs.store.engines import database
from libs.store.moment import at_one_moment
from libs.testing.bus_server import NatsServer
from libs.testing.store_postgres import Postgres
from tests.blobs.server import s3_server
from tests.service.toy import HASTY, created, hearing, say, settings, toy_app

CLOCK = SystemClock()
ROOT = Path(__file__).resolve().parents[2]
MILLSTREAM = Path(sys.executable).parent / "millstream"
CREATED, ADMITTED = "training.trainjob.created.v1", "scheduling.workload.admitted.v1"
OBJECTS = {"models/digits/1/model.pt2": os.urandom(70_000), "a b/ü%&.txt": b"", "deep/er/still/x": b"x" * 10}


@dataclass
class Engines:
    """A cluster's engines: `stores` by service, a broker, an S3 server."""

    stores: dict[str, str]
    nats: NatsServer
    s3: Endpoint
    image: Path | None = None
    """The files of the image millstream/tools, to run the command from instead of this checkout."""

    def arguments(self) -> list[str]:
        stores = [word for name, url in self.stores.items() for word in ("--store", f"{name}={url}")]
        return [*stores, "--nats", self.nats.url, "--s3", self.s3.url]

    def environ(self) -> dict[str, str]:
        keys = {"MILLSTREAM_S3_ACCESS_KEY": "key", "MILLSTREAM_S3_SECRET_KEY": "secret"}
        environ = {"PATH": os.environ["PATH"], "TMPDIR": os.environ.get("TMPDIR", "/tmp"), **keys}
        if self.image:
            places = [str(self.image), str(self.image / "sdk"), sysconfig.get_path("purelib")]
            environ["PYTHONPATH"] = ":".join(places)
        return environ

    def command(self, *arguments: str) -> list[str]:
        # -S: no .pth file leads back to this checkout.
        program = [sys.executable, "-S", "-m", "millstream.cli"] if self.image else [str(MILLSTREAM)]
        return [*program, *arguments, *self.arguments()]

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*arguments), env=self.environ(), text=True, timeout=100, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def well(self, *arguments: str) -> str:
        code, said = self.run(*arguments)
        assert code == 0, said
        return said


@asynccontextmanager
async def engines(folder: Path, stores: dict[str, str]) -> AsyncIterator[Engines]:
    (folder / "s3" / "millstream").mkdir(parents=True)
    nats = NatsServer(folder / "nats", sync_always=False)
    await nats.start()
    try:
        with s3_server(folder / "s3") as endpoint:
            yield Engines(stores, nats, endpoint)
    finally:
        nats.kill()


def begun(command: Sequence[str], environ: dict[str, str], after_lines: int) -> subprocess.Popen[str]:
    """The command, once it has told of so many steps."""
    process = subprocess.Popen(command, env={**environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(after_lines):
        if not process.stdout.readline():
            break
    return process


def names_of(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def image_of_tools(folder: Path) -> Path:
    """What the image brings along, and nothing else of ours."""
    for name in (ROOT / "deploy" / "images" / "tools" / "files.txt").read_text().split():
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return folder


async def connect(nats: NatsServer) -> Bus:
    bus = await Bus.connect(nats.url, service="test", clock=CLOCK, ids=SystemIds(), tuning=HASTY)
    await bus.ensure("test", [])
    return bus


async def fill(cluster: Engines, jobs: int = 300) -> None:
    """Letters, rows of a real service's own table, objects."""
    bus = await connect(cluster.nats)
    async with serve(toy_app(), toy_settings(cluster), Given(tuning=HASTY)), hearing(bus) as heard:
        for number in range(jobs):
            await say(bus, created(f"job-{number}"), f"letter-{number}")
        await heard.wait(ADMITTED, jobs, timeout_s=60)
    await bus.close()
    store = await Store.open(
        cluster.stores["registry"], clock=CLOCK, ids=SystemIds(), migrations=migrations("registry")
    )
    async with store.write() as uow:
        for number in range(30):
            await uow.rows(
                "INSERT INTO registry_records (family, parent, name, fields, created_ms, updated_ms, announced)"
                " VALUES ('model', 0, ?1, ?2, 1, 1, ?3) RETURNING id",
                f"m{number}", json.dumps({"n": number}), bool(number % 2),
            )  # fmt: skip
    await store.close()
    blobs = S3Blobs(cluster.s3, "millstream")
    for key, data in OBJECTS.items():
        await blobs.put(key, data)
    blobs.close()


def toy_settings(cluster: Engines) -> Any:
    return settings(Path("/nowhere"), cluster.nats.url).model_copy(update={"store_url": cluster.stores["toy"]})


async def contents(cluster: Engines) -> dict[str, Any]:
    """All that a backup must bring back, apart from what a restore changes on purpose."""
    places = {name: database(url) for name, url in cluster.stores.items()}
    told: dict[str, Any] = {}
    async with at_one_moment(places, CLOCK) as lines:
        for name, line in lines.items():
            found = await reflected(line)
            outline = await shape(places[name], line, found)
            told[name] = outline.revisions, outline.counters
            for table in set(outline.tables) - {"meta", "leases", "sqlite_sequence"}:
                lines_of = [row async for row in rows(line, found.tables[table])]
                told[name, table] = [
                    text for text in lines_of if '"SAID", "", "", "", null, null, null, null' not in text
                ]
    async with Streams.connect(cluster.nats.url) as streams:
        for name in await streams.names():
            head = await streams.head(name)
            js = streams._js
            told[name] = head and {k: v for k, v in head.state.items() if k not in ("consumer_count", "first_seq")}
            told[name, "consumers"] = await streams.consumers(name)
            last = head.state["last_seq"] if head else 0
            told[name, "messages"] = [(m.seq, m.subject, m.data, m.headers, m.time) for seq in range(1, last + 1)
                                      for m in [await js.get_msg(name, seq)]]  # fmt: skip
    blobs = S3Blobs(cluster.s3, "millstream")
    told["bucket"] = {blob.key: await blobs.read(blob.key) for blob in await blobs.list("")}
    blobs.close()
    return told


def urls(kind: str, folder: Path, postgres: Postgres) -> dict[str, str]:
    folder.mkdir()
    names = ("registry", "toy")
    return {n: postgres.new_database() if kind == "postgres" else f"sqlite:///{folder}/{n}.db" for n in names}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "sqlite")])
async def test_everything_comes_back_in_other_engines_and_counts_on(
    source: str, target: str, tmp_path: Path, postgres: Postgres
) -> None:
    archive = str(tmp_path / "all.tar.gz")
    async with engines(tmp_path / "1", urls(source, tmp_path / "s1", postgres)) as old:
        await fill(old)
        old.image = image_of_tools(tmp_path / "image")
        old.well("backup", archive)
        before = await contents(old)
    assert before["bucket"] == OBJECTS
    assert len(before["millstream", "messages"]) == 600
    async with engines(tmp_path / "2", urls(target, tmp_path / "s2", postgres)) as new:
        new.image = tmp_path / "image"
        new.well("restore", archive)
        after = await contents(new)
        assert {key for key in before if before[key] != after[key]} <= {"registry", "toy"}
        assert [after[name][0] for name in ("registry", "toy")] == [before[name][0] for name in ("registry", "toy")]
        assert new.well("restore", archive).count("restored already") == 2
        store = await Store.open(
            new.stores["registry"], clock=CLOCK, ids=SystemIds(), migrations=migrations("registry")
        )
        async with store.write() as uow:
            [(number,)] = await uow.rows(
                "INSERT INTO registry_records (family, parent, name, fields, created_ms, updated_ms, announced)"
                " VALUES ('model', 0, 'next', '{}', 1, 1, ?1) RETURNING id", True,
            )  # fmt: skip
            assert number == 31
        await store.close()
        code, said = new.run("restore", archive)
        assert code == 0 or "not empty" in said
        bus = await connect(new.nats)
        async with serve(toy_app(), toy_settings(new), Given(tuning=HASTY)), hearing(bus) as heard:
            await say(bus, created("job-5"), "letter-5")  # heard before the backup: of no effect
            await say(bus, created("new"), "letter-new")
            await heard.wait(ADMITTED, 301, timeout_s=60)
            await asyncio.sleep(1)
            ids = [each["id"] for each in heard.of(ADMITTED)]
            assert len(ids) == len(set(ids)) == 301, "said again, or lost"
        await bus.close()
        code, said = new.run("restore", archive)
        assert code == 1
        assert "not empty: store toy, stream millstream; --force replaces what is there" in said
        new.well("restore", archive, "--force")
        assert (await contents(new))["millstream", "messages"] == before["millstream", "messages"]


@pytest.mark.timeout(240)
async def test_what_was_said_after_the_streams_were_taken_is_said_again_once(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Backups while letters flow: whatever a restored store remembers having said is on the stream once, and each cause
    that it knows has its one effect."""
    archive, jobs = tmp_path / "live", 1500
    async with engines(tmp_path / "1", urls("postgres", tmp_path / "s1", postgres)) as old:
        await fill(old, 10)
        bus = await connect(old.nats)
        async with serve(toy_app(), toy_settings(old), Given(tuning=HASTY)):

            async def speak() -> None:
                for number in range(jobs):
                    await say(bus, created(f"live-{number}"), f"live-{number}")
                    await asyncio.sleep(0.002)

            speaking = asyncio.create_task(speak())
            await asyncio.sleep(0.5)
            await asyncio.to_thread(old.well, "backup", str(archive))
            assert not speaking.done(), "the backup must fall into the traffic"
            await speaking
        await bus.close()
    manifest = json.loads((archive / "manifest.json").read_text())
    taken = manifest["parts"]["streams"]["millstream"]["state"]["last_seq"]
    async with engines(tmp_path / "2", urls("sqlite", tmp_path / "s2", postgres)) as new:
        new.well("restore", str(archive))
        async with Streams.connect(new.nats.url) as streams:
            on_stream = await streams.message_ids("millstream")
            assert len(on_stream) == taken
        store = await Store.open(new.stores["toy"], clock=CLOCK, ids=SystemIds())
        async with store.read() as reader:
            known = {json.loads(row[0])["id"] for row in await reader.rows("SELECT letter FROM changes") if row[0]}
            unsaid = {json.loads(row[0])["id"] for row in await reader.rows(
                "SELECT letter FROM changes WHERE letter IS NOT NULL AND said_at IS NULL")}  # fmt: skip
        await store.close()
        assert unsaid == known - on_stream
        assert unsaid, "this run has tried nothing: the stores were no newer than the streams"
        bus = await connect(new.nats)
        async with serve(toy_app(), toy_settings(new), Given(tuning=HASTY)) as toy, hearing(bus) as heard:
            causes = {i for i in on_stream if i.startswith(("live-", "letter-"))}
            await say(bus, created("last"), "last")
            await heard.wait(ADMITTED, len(known) + 1, timeout_s=60)
            async with asyncio.timeout(30):
                while await toy.ports.store.outbox.unsaid():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            ids = [each["id"] for each in heard.letters]
            assert len(ids) == len(set(ids)), "a letter lies on the stream twice"
            names = [each["data"]["name"] for each in heard.of(ADMITTED)]
            assert len(names) == len(set(names)), "an effect happened twice"
            answered = {each["causationid"] for each in heard.of(ADMITTED)}
            assert causes <= answered, "a cause that was kept lost its effect"
            assert known <= set(ids), "a letter that the store remembers was lost"
        await bus.close()


def kill_at(command: Sequence[str], environ: dict[str, str], after_lines: int) -> int:
    """kill -9 after so many lines of progress; returns the exit code."""
    process = begun(command, environ, after_lines)
    process.kill()
    return process.wait()


@pytest.mark.timeout(240)
async def test_killed_backups_leave_no_archive_and_killed_restores_are_finished_by_another(
    tmp_path: Path, postgres: Postgres
) -> None:
    archive = tmp_path / "all.tar"
    async with engines(tmp_path / "1", urls("sqlite", tmp_path / "s1", postgres)) as old:
        await fill(old)
        before = await contents(old)
        for lines in range(4):
            assert kill_at(old.command("backup", str(archive)), old.environ(), lines) == -9
            assert not archive.exists()
        old.well("backup", str(archive))
        assert names_of(tmp_path, "all.tar*") == ["all.tar"]
        assert archive.stat().st_mode & 0o777 == 0o600
        assert await contents(old) == before, "backups change nothing"
    async with engines(tmp_path / "2", urls("postgres", tmp_path / "s2", postgres)) as new:
        for lines in range(2, 8):
            kill_at(new.command("restore", str(archive)), new.environ(), lines)
        new.well("restore", str(archive))
        after = await contents(new)
        assert {key for key in before if before[key] != after[key]} <= {"registry", "toy"}


async def test_a_damaged_archive_is_refused_before_anything_is_touched(tmp_path: Path, postgres: Postgres) -> None:
    whole = tmp_path / "whole"
    async with engines(tmp_path / "1", urls("sqlite", tmp_path / "s1", postgres)) as old:
        await fill(old, 20)
        old.well("backup", str(whole))
        old.well("backup", str(tmp_path / "whole.tar.gz"))
        code, said = old.run("backup", str(whole))
        assert (code, "overwrites nothing" in said) == (1, True)
        nowhere = Engines({"toy": f"sqlite:///{tmp_path}/none.db"}, old.nats, old.s3)
        code, said = nowhere.run("restore", str(whole))
        assert code == 1
        assert "no place was named for store registry (--store registry=URL)" in said
        for what, told in damaged(whole, tmp_path):
            code, said = nowhere.run("restore", str(what))
            assert code == 1, said
            assert told in said.replace("\n", " "), said
        assert not (tmp_path / "none.db").exists()


def damaged(whole: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Archives that nobody should restore, and what must be said of each."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(whole, folder / name))

    missing = copy("missing")
    (missing / "stores" / "toy" / "changes.jsonl").unlink()
    yield missing, "damaged: stores/toy/changes.jsonl is missing"
    flipped = copy("flipped")
    snapshot = flipped / "streams" / "millstream" / "snapshot"
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2] ^= 1
    snapshot.write_bytes(data)
    yield flipped, "damaged: streams/millstream/snapshot is not what was written"
    headless = copy("headless")
    (headless / "manifest.json").unlink()
    yield headless, "is not a backup: it has no manifest.json"
    garbled = copy("garbled")
    (garbled / "manifest.json").write_text('{"format": 1, "fi')
    yield garbled, "damaged: manifest.json cannot be read"
    newer = copy("newer")
    (newer / "manifest.json").write_text('{"format": 99}')
    yield newer, "has format 99, this millstream reads 1"
    cut = folder / "cut.tar.gz"
    cut.write_bytes((folder / "whole.tar.gz").read_bytes()[:-4000])
    yield cut, "is damaged or no backup"
    yield folder / "absent.tar", "does not exist"


async def test_ctrl_c_ends_a_backup_and_leaves_nothing(tmp_path: Path, postgres: Postgres) -> None:
    async with engines(tmp_path / "1", urls("sqlite", tmp_path / "s1", postgres)) as old:
        await fill(old, 50)
        process = begun(old.command("backup", str(tmp_path / "all")), old.environ(), 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert names_of(tmp_path, "all*") == []
