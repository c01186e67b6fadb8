"""Finished steps of one platform are reused on another, both ways; what is brought is believed only as far as it can be
checked."""

import asyncio
import copy
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from millstream.errors import ClientError
from millstream.pipelines import sharing

from libs.base.errors import BadRequest
from services.pipelines.domain.cache import key_of
from tests.services.pipelines.sharing.conftest import BODIES, LARGE, Platform

HIT = "hit: nothing that its outputs depend on has changed"
Two = tuple[Platform, Platform]


def steps(*names: str) -> str:
    """A compiled pipeline: each step gives a file, a folder or a large file, as it is called, and a number."""
    data = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    gives = {"artifacts": {"data": data}, "parameters": {"rows": {"parameterType": "NUMBER_INTEGER"}}}
    tasks: dict[str, Any] = {}
    for number, name in enumerate(names):
        last = {"taskOutputArtifact": {"producerTask": names[number - 1], "outputArtifactKey": "data"}}
        tasks[name] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": "comp-next" if number else "comp-first"},
            "inputs": {"artifacts": {"data": last}} if number else {},
            "cachingOptions": {"enableCache": True},
            **({"dependentTasks": [names[number - 1]]} if number else {}),
        }
    return json.dumps({
        "pipelineInfo": {"name": "shared"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-first": {"executorLabel": "exec", "outputDefinitions": gives},
            "comp-next": {
                "executorLabel": "exec", "inputDefinitions": {"artifacts": {"data": data}}, "outputDefinitions": gives
            },
        },
        "deploymentSpec": {"executors": {"exec": {"container": {"image": "python:3.11", "command": ["write"]}}}},
        "root": {"dag": {"tasks": tasks}},
    })  # fmt: skip


async def push(source: Platform, target: Platform, run_id: str = "") -> sharing.Tally:
    told = source.client, source.namespace, run_id, "anna's laptop", target.client, target.namespace
    return await asyncio.to_thread(sharing.push, *told)


async def first(source: Platform) -> dict[str, Any]:
    """A result as it is told, with all that who brings it has to know."""
    [found, *_] = await asyncio.to_thread(
        lambda: list(sharing.results(source.client, source.namespace, "", "anna's laptop"))
    )
    return found


def keeps(target: Platform, told: dict[str, Any]) -> str:
    """Why it is refused."""
    with pytest.raises(ClientError) as refused:
        target.client.request("POST", "/pipelines/v1/cache/entries", params={"namespace": target.namespace}, json=told)
    assert refused.value.code in (400, 403)
    return str(refused.value)


async def test_steps_of_a_laptop_are_not_done_again_on_a_cluster_nor_the_other_way_round(two: Two):
    laptop, cluster = two
    run, _ = await laptop.run(steps("file-0", "tree-0", "large-0"))
    tally = await push(laptop, cluster, run.id)
    assert (tally.sent, tally.known, tally.gone) == (3, 0, [])
    async with cluster.rig.ports.store.read() as reader:
        letters = [each.letter for each in await reader.changes_since(0) if each.letter]
    told = [one["data"] for one in letters if one["type"] == "pipelines.result.imported.v1"]
    assert sorted((one["task"], one["platform"], one["run"]) for one in told) == [
        (name, "anna's laptop", run.id) for name in ("file-0", "large-0", "tree-0")
    ]
    there, why = await cluster.run(steps("file-0", "tree-0", "large-0", "file-1"))
    where = f"{HIT}; brought from run {run.id} in namespace team on anna's laptop"
    assert [why.pop(name) for name in ("file-0", "tree-0", "large-0")] == [where] * 3
    assert [order.name for order in cluster.rig.orders] == ["file-1"], "the rest did not run"
    outputs = await cluster.outputs(there, "root/tree-0")
    [tree] = outputs.artifacts["data"]
    assert tree.uri.startswith(f"s3://{cluster.rig.bucket}/pipelines/research/.shared/{run.id}/")
    assert {name: (cluster.lying(tree.uri) / name).read_bytes() for name in BODIES["tree"]} == BODIES["tree"]
    [large] = (await cluster.outputs(there, "root/large-0")).artifacts["data"]
    assert cluster.lying(large.uri).read_bytes() == LARGE
    assert (outputs.parameters, tree.metadata) == ({"rows": 41}, {"rows": 3})
    back = await push(cluster, laptop)
    assert (back.sent, back.known, back.gone) == (1, 3, []), "only what the laptop has not"
    _, why = await laptop.run(steps("file-0", "tree-0", "large-0", "file-1"))
    assert why.pop("file-1") == f"{HIT}; brought from run {there.id} in namespace research on anna's laptop"
    assert set(why.values()) == {HIT}, "its own are still its own"
    assert len(laptop.rig.orders) == 3


async def test_a_run_is_sent_with_what_a_later_run_made_again_and_with_nothing_of_others(two: Two):
    laptop, cluster = two
    run, _ = await laptop.run(steps("file-0", "tree-0"))
    await laptop.run(steps("file-0", "tree-0"), cache=False)
    await laptop.run(steps("large-0"))
    assert (await push(laptop, cluster, run.id)).sent == 2
    _, why = await cluster.run(steps("file-0", "tree-0"))
    assert all(each.startswith(HIT) for each in why.values()), why


async def test_sending_again_sends_nothing_and_an_interrupted_one_goes_on(two: Two, monkeypatch: pytest.MonkeyPatch):
    laptop, cluster = two
    await laptop.run(steps("large-0"))
    calls = []
    ask = cluster.client.request

    def cut(method: str, path: str, **options: Any) -> Any:
        calls.append((method, path.rpartition("/")[2]))
        if path.endswith("/1") and len(calls) < 6:
            raise httpx.ReadError("the line is cut")
        return ask(method, path, **options)

    monkeypatch.setattr(cluster.client, "request", cut)
    with pytest.raises(httpx.ReadError):
        await push(laptop, cluster)
    _, why = await cluster.run(steps("large-0"))
    assert why["large-0"].startswith("miss"), "nothing half of it is given out"
    async with cluster.rig.ports.store.write() as uow:
        await uow.later("DELETE FROM pipeline_cache")
    calls[:] = [("", "")] * 6
    assert (await push(laptop, cluster)).sent == 1
    assert [number for method, number in calls if method == "PUT"] == ["1", "0"], (
        "the first part was there; then the log"
    )
    assert not list((cluster.root / "pipelines/research/.incoming").rglob("0*")), "parts go when they are put together"
    assert ((await push(laptop, cluster)).sent, (await push(laptop, cluster)).known) == (0, 1)


async def test_an_archive_takes_the_way_that_no_line_goes(two: Two, tmp_path: Path):
    laptop, cluster = two
    await laptop.run(steps("file-0", "tree-0"))
    archive = tmp_path / "results.tar"
    told = laptop.client, laptop.namespace, "", "anna's laptop", archive
    assert (await asyncio.to_thread(sharing.export, *told)).sent == 2
    assert (await asyncio.to_thread(sharing.bring, archive, cluster.client, cluster.namespace)).sent == 2
    again = await asyncio.to_thread(sharing.bring, archive, cluster.client, cluster.namespace)
    assert (again.sent, again.known, again.size) == (0, 2, 0)
    _, why = await cluster.run(steps("file-0", "tree-0"))
    assert all(each.startswith(HIT) for each in why.values()) and not cluster.rig.orders


async def test_an_archive_with_anything_else_in_it_is_refused(two: Two, tmp_path: Path):
    _, cluster = two
    link = tarfile.TarInfo("objects/" + "a" * 64)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    up, big = tarfile.TarInfo("../../etc/cron.d/x"), tarfile.TarInfo("results/" + "b" * 64 + ".json")
    big.size = sharing.RESULT_MAX + 1
    for number, (bad, words) in enumerate({link: "none of an export's", up: "none of", big: "no result has"}.items()):
        archive = tmp_path / f"{number}.tar"
        with tarfile.open(archive, "w") as packed:
            packed.addfile(bad, io.BytesIO(b"0" * bad.size))
        with pytest.raises(ClientError, match=words):
            await asyncio.to_thread(sharing.bring, archive, cluster.client, cluster.namespace)
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(ClientError, match="is no export"):
        await asyncio.to_thread(sharing.bring, tmp_path / "text.tar", cluster.client, cluster.namespace)


async def test_what_is_gone_where_it_was_made_is_left_out_and_said(two: Two):
    laptop, cluster = two
    run, _ = await laptop.run(steps("file-0", "file-1"))
    [lost] = (await laptop.outputs(run, "root/file-1")).artifacts["data"]
    await laptop.rig.ports.blobs.delete(lost.uri.removeprefix(f"s3://{laptop.rig.bucket}/"))
    tally = await push(laptop, cluster)
    assert (tally.sent, tally.gone) == (1, ["file-1"])


@pytest.mark.parametrize("place", [1, -1, -2179035])
async def test_an_output_at_a_place_that_there_is_not_is_not_found(two: Two, place: int):
    laptop, _ = two
    await laptop.run(steps("file-0"))
    key = (await first(laptop))["key"]
    where = {"namespace": laptop.namespace, "output": "data", "place": place}
    with pytest.raises(ClientError) as refused:
        await asyncio.to_thread(
            laptop.client.request, "GET", f"/pipelines/v1/cache/entries/{key}/content", params=where
        )
    assert refused.value.code == 404


async def test_nobody_brings_results_without_the_right_to(two: Two):
    laptop, cluster = two
    await laptop.run(steps("file-0"))
    cluster.refused.add(("import", "caches"))
    with pytest.raises(ClientError, match="import caches in 'research' is forbidden"):
        await push(laptop, cluster)
    laptop.refused.add(("get", "runs"))
    with pytest.raises(ClientError, match="get runs in 'team' is forbidden"):
        await push(laptop, cluster)


async def test_what_cannot_be_believed_is_refused_with_its_field(two: Two):
    laptop, cluster = two
    await laptop.run(steps("tree-0"))
    told = await first(laptop)
    tree = told["outputs"]["artifacts"]["data"][0]
    digests = {name: sha256(body).hexdigest() for name, body in BODIES["tree"].items()}
    for file in tree["files"]:
        file["sha256"] = digests[file["path"]]

    def changed(change: Any) -> dict[str, Any]:
        other = copy.deepcopy(told)
        change(other, other["outputs"]["artifacts"]["data"][0])
        return other

    def another_part(other: dict[str, Any], _: Any) -> None:
        other["parts"]["image"] = "evil"

    def another_name(other: dict[str, Any], one: dict[str, Any]) -> None:
        other["outputs"]["artifacts"] = {"more": [one]}

    bad = {
        "key: ": another_part,
        "form: ": lambda other, _: other.update(form="0"),
        "outputs.artifacts.data: it is promised": another_name,
        "outputs.artifacts.more: no such": lambda other, one: other["outputs"]["artifacts"].update(more=[one]),
        "outputs.parameters.rows": lambda other, _: other["outputs"]["parameters"].update(rows="many"),
        "'../x' is no path": lambda _, one: one["files"][0].update(path="../x"),
        "'/x' is no path": lambda _, one: one["files"][0].update(path="/x"),
        "is not that of its files": lambda _, one: one["files"][0].update(sha256="0" * 64),
        "its files are missing": lambda _, one: one.pop("files"),
        f"data.uri: 's3://{cluster.rig.bucket}/pipelines/other/x' belongs to ": lambda _, one: one.update(
            files=[], digest="", uri=f"s3://{cluster.rig.bucket}/pipelines/other/x"
        ),
        "pipeline: ": lambda other, _: other.update(pipeline="a\nb"),
        "origin: must be an object": lambda other, _: other.update(origin="a laptop"),
    }
    for words, change in bad.items():
        assert words in await asyncio.to_thread(keeps, cluster, changed(change)), words
    assert "0 bytes have come" in await asyncio.to_thread(keeps, cluster, told), "and its bytes are not there"
    assert not list(cluster.root.rglob(".shared"))


async def test_what_could_not_be_told_again_is_refused_as_it_would_be_of_a_step(two: Two):
    """A run that got it from the cache could not be shown any more."""
    laptop, cluster = two
    await laptop.run(steps("file-0"))
    told = await first(laptop)
    for words, change in {
        "inf is no number": lambda outputs, one: outputs["parameters"].update(rows=float("inf")),
        "nan is no number": lambda outputs, one: one["metadata"].update(loss=float("nan")),
        "half of a character": lambda outputs, one: one["metadata"].update(note="\ud800"),
        "holds NUL": lambda outputs, one: one["metadata"].update(note="\0"),
        "its metadata is larger": lambda outputs, one: one["metadata"].update(note="x" * 2**20),
        "schemaTitle: ": lambda outputs, one: one["type"].update(schemaTitle="x" * 300),
        "is no number of bytes": lambda outputs, one: one.update(size=2**63, files=[], digest="", uri="s3://else/x"),
    }.items():
        other = copy.deepcopy(told)
        change(other["outputs"], other["outputs"]["artifacts"]["data"][0])
        with pytest.raises(BadRequest, match=words):
            await cluster.shared.keep(cluster.namespace, other)


async def test_other_bytes_than_the_digest_tells_never_get_a_place(two: Two):
    laptop, cluster = two
    await laptop.run(steps("file-0"))
    told = await first(laptop)
    [file] = told["outputs"]["artifacts"]["data"][0]["files"]
    await cluster.shared.put_part("research", file["sha256"], 0, b"9,9,9\n")
    assert "are not the 6 that it has" in await asyncio.to_thread(keeps, cluster, told)
    assert (await push(laptop, cluster)).sent == 1, "the wrong bytes are in nobody's way"
    assert key_of(told["parts"]) == told["key"]
