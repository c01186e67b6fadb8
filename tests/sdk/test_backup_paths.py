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
from millstream.backup.unpacking import unpack
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


def _of(*members: tarfile.TarInfo) -> tarfile.TarFile:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return tarfile.open(fileobj=io.BytesIO(made.getvalue()))


def _member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, to, 0o4777
    found.size = 1 if kind == tarfile.REGTYPE else 0
    return found


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


OLD_AND_NEW = pytest.mark.parametrize("filters", [True, False], ids=["with filters", "as in Python 3.11.2"])


@OLD_AND_NEW
def test_what_a_tar_file_may_hold_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: bool) -> None:
    _filters(monkeypatch, filters)
    held = [_member("a", tarfile.DIRTYPE), _member("a/file"), _member("a/link", tarfile.SYMTYPE, "file")]
    unpack(_of(*held, _member("hard", tarfile.LNKTYPE, "a/file")), tmp_path, links=True)
    assert (tmp_path / "a" / "link").read_bytes() == (tmp_path / "hard").read_bytes() == b"x"
    assert (tmp_path / "a" / "file").stat().st_mode & 0o7777 == 0o755


@OLD_AND_NEW
@pytest.mark.parametrize(
    "members",
    [
        [_member("../evil")],
        [_member("out", tarfile.SYMTYPE, ".."), _member("out/evil")],
        [_member("hard", tarfile.LNKTYPE, "../secret"), _member("hard")],
        [_member("pipe", tarfile.FIFOTYPE)],
    ],
    ids=["a way up", "through a link", "a hard link", "a pipe"],
)
def test_nothing_is_written_outside_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: bool, members: list[tarfile.TarInfo]
) -> None:
    _filters(monkeypatch, filters)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "folder").mkdir()
    with pytest.raises((tarfile.TarError, OSError)):
        unpack(_of(*members), tmp_path / "folder", links=members[0].type != tarfile.FIFOTYPE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "secret"]
    assert (tmp_path / "secret").read_bytes() == b"secret"


def _filters(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    if not known:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has no filters")
