"""What every store of blobs must do, as a suite to inherit; give it a `blobs` fixture."""

from pathlib import Path

import pytest

from libs.blobs import Blob, BlobError, Blobs, Corrupt, NoSuchBlob
from libs.blobs.api import digest


class BlobsSuite:
    async def test_what_was_put_is_got_with_its_digest(self, blobs: Blobs) -> None:
        stored = await blobs.put("models/team/digits.pt", b"weights")
        assert (stored.key, stored.size, stored.sha256) == ("models/team/digits.pt", 7, digest(b"weights"))
        assert await blobs.get("models/team/digits.pt", sha256=stored.sha256) == b"weights"

    async def test_other_bytes_than_those_stored_are_corrupt(self, blobs: Blobs) -> None:
        stored = await blobs.put("a", b"one")
        await blobs.put("a", b"two")
        with pytest.raises(Corrupt):
            await blobs.get("a", sha256=stored.sha256)

    async def test_what_is_not_there_is_said_to_be_so(self, blobs: Blobs, tmp_path: Path) -> None:
        assert await blobs.stat("nothing") is None
        assert await blobs.list("nothing/") == []
        for reading in (blobs.get("nothing"), blobs.download("nothing", tmp_path / "x")):
            with pytest.raises(NoSuchBlob):
                await reading
        await blobs.delete("nothing")

    async def test_a_list_is_in_order_and_of_the_prefix(self, blobs: Blobs) -> None:
        for key in ("runs/b", "runs/a/1", "other"):
            await blobs.put(key, key.encode())
        assert await blobs.list("runs/") == [Blob("runs/a/1", 8), Blob("runs/b", 6)]
        assert await blobs.list("runs/", limit=1) == [Blob("runs/a/1", 8)]

    async def test_an_empty_object_is_an_object(self, blobs: Blobs) -> None:
        await blobs.put("empty", b"")
        assert await blobs.stat("empty") == Blob("empty", 0)
        assert await blobs.get("empty") == b""

    async def test_a_deleted_object_is_gone(self, blobs: Blobs) -> None:
        await blobs.put("a/b", b"x")
        await blobs.delete("a/b")
        assert await blobs.stat("a/b") is None

    async def test_a_file_of_more_than_one_part_comes_back_whole(self, blobs: Blobs, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(bytes(range(256)) * 70_000)
        stored = await blobs.put("big", source)
        await blobs.download("big", target)
        assert stored.sha256 == digest(target.read_bytes())

    async def test_an_object_is_read_in_parts(self, blobs: Blobs) -> None:
        await blobs.put("letters", b"abcdefgh")
        assert [await blobs.part("letters", at, 3) for at in (0, 3, 6)] == [b"abc", b"def", b"gh"]
        assert [chunk async for chunk in blobs.chunks("letters", 8)] == [b"abcdefgh"]
        with pytest.raises(NoSuchBlob):
            await blobs.part("nothing", 0, 3)

    async def test_parts_that_never_came_make_no_object(self, blobs: Blobs) -> None:
        upload = await blobs.begin_parts("large")
        assert blobs.presign_part("large", upload, 1) != blobs.presign_part("large", upload, 2)
        with pytest.raises(BlobError):
            await blobs.end_parts("large", upload, ["0" * 32])
        assert await blobs.stat("large") is None
        assert await blobs.list("") == []

    async def test_parts_that_will_not_become_whole_are_found_and_dropped(self, blobs: Blobs) -> None:
        first, second = await blobs.begin_parts("a/large"), await blobs.begin_parts("b/large")
        assert sorted(await blobs.begun_parts("")) == [("a/large", first), ("b/large", second)]
        assert list(await blobs.begun_parts("a/")) == [("a/large", first)]
        for _ in range(2):
            await blobs.drop_parts("a/large", first)
        assert list(await blobs.begun_parts("")) == [("b/large", second)]

    async def test_a_key_below_another_object_is_an_error(self, blobs: Blobs) -> None:
        await blobs.put("a", b"x")
        with pytest.raises(BlobError):
            await blobs.put("a/b", b"x")

    @pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/./b", "a\n"])
    async def test_a_key_that_stores_read_differently_is_refused(self, blobs: Blobs, key: str) -> None:
        with pytest.raises(BlobError):
            await blobs.put(key, b"x")
