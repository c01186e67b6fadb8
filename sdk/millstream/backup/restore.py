"""Restores an archive into empty places; whatever is there already from the same archive is recognised and kept.

Each part is all or nothing: a stream that broke off is deleted and sent again, a store is one transaction, objects are
put again. So a restore that was killed is finished by running it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.base.clock import Clock, rfc3339_micro
from libs.bus.snapshots import CHUNK_BYTES, Head, Streams
from libs.bus.topology import STREAM
from libs.store import statements as sql
from libs.store.dump import Shape
from libs.store.lines import Line
from libs.store.load import RESTORED, load, state
from millstream.backup import rows
from millstream.backup.archive import Reader
from millstream.backup.buckets import Bucket
from millstream.backup.places import NODE, Places, migrations
from millstream.errors import ClientError

Tell = Callable[[str], None]


async def restore(reader: Reader, places: Places, *, force: bool, clock: Clock, tell: Tell) -> None:
    """Everything of the archive into `places`. Raises ClientError, before anything was changed, unless all are empty or
    hold a part of this very restore; with `force` what they hold is replaced."""
    parts = reader.manifest["parts"]
    _check_complete(parts, places)
    bucket = places.open_bucket()
    try:
        async with places.streams() as streams:
            if not force and (used := await _used(reader, parts, places, streams, bucket)):
                raise ClientError(f"not empty: {', '.join(used)}; --force replaces what is there")
            told = await _streams(reader, parts["streams"], streams, places.replicas, force, tell) if streams else None
        await _stores(reader, parts["stores"], places, told, force, clock, tell)
        if bucket is not None:
            await _objects(reader, parts["bucket"], bucket, tell)
    finally:
        if bucket is not None:
            bucket.close()


def _check_complete(parts: dict[str, Any], places: Places) -> None:
    """A store without a place would be lost in silence. On a cluster the node's is not wanted: etcd has its own."""
    lacking = [f"store {name} (--store {name}=URL)" for name in parts["stores"] if name not in {*places.stores, NODE}]
    if parts["streams"] and not (places.nats_url or places.nats_folder):
        lacking.append("the streams (--nats)")
    if parts["bucket"] and not (places.s3 or places.bucket_folder):
        lacking.append("the bucket (--s3)")
    if lacking:
        raise ClientError(f"no place was named for {', '.join(lacking)}")


async def _used(
    reader: Reader, parts: dict[str, Any], places: Places, streams: Streams | None, bucket: Bucket | None
) -> list[str]:
    """What holds something that is not of this archive."""
    used = []
    for name, place in places.databases().items():
        if name in parts["stores"] and await state(place) not in ("empty", f"restored {reader.manifest['id']}"):
            used.append(f"store {name}")
    for name in parts["streams"] if streams else ():
        now = await streams.head(name) if streams else None
        if now is not None and now.state["last_seq"] and not now.part_of(_head(reader, name)):
            used.append(f"stream {name}")
    if bucket is not None:
        known = {entry["key"]: entry["bytes"] for entry in _inventory(reader, parts)}
        if any(known.get(blob.key) != blob.size for blob in await bucket.objects()):
            used.append("the bucket")
    return used


async def _streams(
    reader: Reader, parts: dict[str, Any], streams: Streams, replicas: int | None, force: bool, tell: Tell
) -> rows.Stream | None:
    for name in parts:
        wanted = _head(reader, name)
        now = await streams.head(name)
        if now is None or force or not now.same_as(wanted):
            if now is not None:
                await streams.delete(name)
            chunks = reader.chunks(f"streams/{name}/snapshot", CHUNK_BYTES)
            await streams.restore(name, wanted, chunks, replicas=replicas)
        tell(f"stream {name}: {wanted.state['messages']} messages, last sequence {wanted.state['last_seq']}")
    if STREAM not in parts:
        return None
    held = _head(reader, STREAM).state
    first_at = str(held["first_ts"]) if held["first_seq"] > 1 else ""
    return rows.Stream(await streams.identity(), frozenset(await streams.message_ids(STREAM)), first_at)


def _head(reader: Reader, name: str) -> Head:
    told = reader.json(f"streams/{name}/head.json")
    return Head(told["config"], told["state"])


async def _stores(
    reader: Reader, parts: dict[str, Any], places: Places, stream: rows.Stream | None, force: bool, clock: Clock,
    tell: Tell,
) -> None:  # fmt: skip
    archive = reader.manifest["id"]
    for name, place in places.databases().items():
        if name not in parts:
            continue
        if not force and await state(place) == f"restored {archive}":
            tell(f"store {name}: restored already")
            continue
        shape = Shape(**reader.json(f"stores/{name}/shape.json"))
        tables = {table: reader.lines(f"stores/{name}/{table}.jsonl") for table in shape.tables}

        async def finish(line: Line) -> None:
            await _go_on_beyond(line, archive, rfc3339_micro(clock.now()))

        change = rows.changed(name, stream)
        count = await load(place, migrations(name), shape, tables, change=change, finish=finish, clear=True)
        tell(f"store {name}: {count} rows")


async def _go_on_beyond(line: Line, archive: str, now: str) -> None:
    """New versions begin far behind all that were ever seen, and nobody can watch from before (HTTP 410, list again).

    The versions of objects count too: the change rows may have been left out.
    """
    [(last,)] = await line.run([(sql.LAST_SEQ, ())])
    [(newest,)] = await line.run([("SELECT COALESCE(MAX(rv), 0) FROM objects", ())])
    begin = max(int(last), int(newest)) + rows.BEYOND
    nothing = (begin, now, "SAID", "", "", "", None, None, None, None, None)
    await line.run([
        (sql.INSERT_CHANGE, nothing),
        (sql.SET_META, ("trimmed", str(begin))),
        (sql.SET_META, (RESTORED, f"{archive}@{begin}")),
    ])  # fmt: skip


def _inventory(reader: Reader, parts: dict[str, Any]) -> list[dict[str, Any]]:
    return list(reader.json("bucket/inventory.json")) if parts["bucket"] else []


async def _objects(reader: Reader, parts: dict[str, Any], bucket: Bucket, tell: Tell) -> None:
    inventory = list(reader.json("bucket/inventory.json")) if parts else []
    for number, entry in enumerate(inventory, 1):
        await bucket.put(entry["key"], reader.path(entry["file"]))
        if number % 200 == 0:
            tell(f"bucket: {number} of {len(inventory)} objects")
    tell(f"bucket: {len(inventory)} objects")
