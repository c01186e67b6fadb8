"""What is heard of releases, and who makes environments, on PostgreSQL as on SQLite."""

from pathlib import Path
from typing import Any

from libs.testing.blobs import FolderBlobs
from services.pipelines.adapters.housekeeping import Housekeeping, Limits
from services.pipelines.adapters.making import Making
from services.pipelines.adapters.releases import SqlReleases
from services.pipelines.domain.releases import ENDPOINT, VERSION, Release
from tests.services.pipelines.conductor.rig import added, chain, connect, rig

KEY = "pipelines/team/.environments/e.tar"


async def test_releases_and_environments_are_rows_like_any_other(tmp_path: Path, postgres: Any):
    async with rig(tmp_path, added, url=postgres.emptied_database()) as here:
        store, blobs = here.ports.store, FolderBlobs(tmp_path / "blobs")
        for _ in range(2):
            async with store.write() as uow:
                kept = SqlReleases(uow)
                await kept.note(Release(VERSION, "1", "", "team", "m/1", "s3://b/x", {"format": "onnx"}))
                await kept.note(Release(ENDPOINT, "u", "r1", "team", "e", "s3://b/x", {"url": "http://e"}))
                await kept.note_gone("team", "e", "u")
        async with store.read() as reader:
            kept = SqlReleases(reader)
            found = await kept.at(["s3://b/x", *(f"s3://b/{number}" for number in range(600))])
            assert sorted((one.kind, one.gone) for one in found) == [(ENDPOINT, True), (VERSION, False)]
            assert [one.body for one in await kept.versions("m/1")] == [{"format": "onnx"}]
            assert [one.revision for one in await kept.endpoints("team", "e")] == ["r1"]
        making = Making(store, blobs, here.ports.clock)
        async with store.write() as uow:
            columns = "uid, run_id, path, number, state, attempt, cache, body"
            await uow.later(
                f"INSERT INTO pipeline_tasks ({columns}) VALUES ('a', 'r', 'p', 1, 'RUNNING', 1, '', '{{}}')"
            )
        assert [(await making.ask(KEY, holder))["state"] for holder in ("a/1", "b/1")] == ["build", "wait"]
        await blobs.put(KEY, b"x")
        await making.ended(KEY)
        assert (await making.ask(KEY, "b/1"))["state"] == "ready"
        await here.submit(chain(1))
        for _ in range(2):
            await Housekeeping(store, blobs, connect(here.cluster), here.ports.clock, Limits(3600, 1, 0)).clear()
        async with store.read() as reader:
            assert not await SqlReleases(reader).endpoints("team", "e"), "it is gone, and led to nothing here"
        assert await blobs.stat(KEY) is not None, "it was used just now"
