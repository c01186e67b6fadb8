"""Takes a backup: streams, then all stores at one moment, then the bucket and the home (why: millstream.backup)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libs.base.clock import Clock, rfc3339
from libs.base.ids import Ids
from libs.bus import BusError
from libs.bus.snapshots import Head, Streams
from libs.bus.topology import DEAD, STREAM
from libs.store.dump import reflected, rows, shape
from libs.store.moment import at_one_moment
from millstream.backup import homefiles
from millstream.backup.archive import Writer
from millstream.backup.places import Places
from millstream.home import Home

Tell = Callable[[str], None]
TRIES = 5


async def take(
    places: Places, target: Path, *, home: Home | None, claims: bool, clock: Clock, ids: Ids, version: str, tell: Tell
) -> dict[str, Any]:
    """Writes the archive `target` and returns its manifest's `parts`.

    Raises ClientError or MillstreamError; then, as after Ctrl-C, nothing of the archive stays.
    """
    writer = Writer(target)
    writer.begin()
    try:
        began = rfc3339(clock.now())
        parts: dict[str, Any] = {"streams": await _streams(places, writer, tell)}
        parts["stores"] = await _stores(places, writer, clock, tell)
        parts["bucket"] = await _bucket(places, writer, tell)
        if home is not None:
            parts["home"] = homefiles.keep(home, writer)
            parts["claims"] = homefiles.keep_claims(home, writer) if claims else {}
            tell(f"home: {len(parts['home'])} files, {len(parts['claims'])} claims")
        writer.finish({"id": ids.uid(), "millstream": version, "began": began, "ended": rfc3339(clock.now()),
                       "kind": "home" if home else "cluster", "parts": parts})  # fmt: skip
        return parts
    finally:
        writer.leave()


async def _streams(places: Places, writer: Writer, tell: Tell) -> dict[str, Any]:
    async with places.streams() as streams:
        if streams is None:
            return {}
        for _ in range(TRIES):
            before = await streams.head(DEAD)
            told = {name: await _stream(streams, name, writer) for name in _in_order(await streams.names())}
            # A dead letter that was replayed meanwhile would be in neither stream: it left one before it came here,
            # and had come to the other after that one was taken.
            after = await streams.head(DEAD)
            if _removed(before) == _removed(after):
                break
            tell("dead letters were replayed meanwhile: taking the streams again")
        else:
            raise BusError("dead letters are being replayed or discarded all the time: try again later")
    for name, about in told.items():
        tell(f"stream {name}: {about['state']['messages']} messages, {len(about['consumers'])} consumers")
    return told


def _in_order(names: list[str]) -> list[str]:
    """The letters before the dead ones: what is buried in between is then buried again instead of lost."""
    return sorted(names, key=lambda name: (name != STREAM, name))


def _removed(head: Head | None) -> int:
    return head.removed if head else 0


async def _stream(streams: Streams, name: str, writer: Writer) -> dict[str, Any]:
    async with streams.snapshot(name) as (head, chunks):
        writer.json(f"streams/{name}/head.json", {"config": head.config, "state": head.state})
        size = await writer.chunks(f"streams/{name}/snapshot", chunks)
    return {"state": head.state, "consumers": await streams.consumers(name), "bytes": size}


async def _stores(places: Places, writer: Writer, clock: Clock, tell: Tell) -> dict[str, Any]:
    told: dict[str, Any] = {}
    databases = places.databases()
    async with at_one_moment(databases, clock) as lines:
        for name, line in lines.items():
            found = await reflected(line)
            outline = await shape(databases[name], line, found)
            writer.json(f"stores/{name}/shape.json", dataclasses.asdict(outline))
            counts = {
                table: await writer.lines(f"stores/{name}/{table}.jsonl", rows(line, found.tables[table])) - 1
                for table in outline.tables
            }
            told[name] = {"revisions": outline.revisions, "rows": counts}
            tell(f"store {name}: {sum(counts.values())} rows")
    return told


async def _bucket(places: Places, writer: Writer, tell: Tell) -> dict[str, Any]:
    bucket = places.open_bucket()
    if bucket is None:
        return {}
    try:
        inventory = []
        for number, blob in enumerate(found := await bucket.objects(), 1):
            part = f"bucket/objects/{number:08}"
            await bucket.download(blob.key, writer.path(part))
            inventory.append({"key": blob.key, "file": part, **writer.add(part)})
            if number % 200 == 0:
                tell(f"bucket: {number} of {len(found)} objects")
    finally:
        bucket.close()
    writer.json("bucket/inventory.json", inventory)
    size = sum(entry["bytes"] for entry in inventory)
    tell(f"bucket: {len(inventory)} objects, {size} bytes")
    return {"objects": len(inventory), "bytes": size}
