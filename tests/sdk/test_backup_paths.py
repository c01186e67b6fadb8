"""An archive from somebody else writes nowhere but into the home that is restored."""

import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest
from millstream.backup import homefiles
from millstream.backup.archive import FORMAT, Reader
from millstream.backup.buckets import FolderBucket
from millstream.errors import ClientError
from millstream.home import Home


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    folder = tmp_path / "far" / "from" / "home" / "archive"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT}))
    return Reader(folder)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("evil"))
    return made.getvalue()


def names_of(outside: Path) -> list[str]:
    """As an absolute path, and as a way up from `<home>` and from `<home>/data`."""
    return [str(outside / "evil"), f"../{outside.name}/evil", f"../../{outside.name}/evil"]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_of_the_home_stays_in_the_home(reader: Reader, tmp_path: Path, which: int) -> None:
    outside = tmp_path / "outside"
    name = names_of(outside)[which]
    _put(Path(f"{reader.folder}/home/{name}"), b"x")
    with pytest.raises(ClientError, match="not ours"):
        homefiles.put_back(reader, Home(tmp_path / "home"), [name], None)
    assert not outside.exists()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_claim_stays_in_the_home(reader: Reader, tmp_path: Path, which: int) -> None:
    outside = tmp_path / "outside"
    name = names_of(outside)[which]
    _put(Path(f"{reader.folder}/claims/{name}.tar"), _tar())
    with pytest.raises(ClientError, match="not ours"):
        homefiles.put_claims_back(reader, Home(tmp_path / "home"), {name: 1})
    assert not outside.exists()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_object_stays_in_the_folder_of_the_bucket(tmp_path: Path, which: int) -> None:
    outside, source = tmp_path / "outside", tmp_path / "source"
    source.write_bytes(b"x")
    with pytest.raises(ClientError, match="not ours"):
        asyncio.run(FolderBucket(tmp_path / "bucket").put(names_of(outside)[which], source))
    assert not outside.exists()
