"""What brings data and models into a pod, against real servers: S3, the web, a hub that its own client reads."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.testing.files import Files, file_server
from libs.testing.hub import Hub, hub
from services.trainer.workloads.failure import Failure
from services.trainer.workloads.initializer import main
from services.trainer.workloads.meter import Meter
from services.trainer.workloads.sources import SOURCES, s3
from services.trainer.workloads.sources.hub import parts
from services.trainer.workloads.task import Task

ROOT = Path(__file__).parents[3]


@pytest.fixture
def web() -> Iterator[Files]:
    with file_server() as site:
        yield site


@pytest.fixture(scope="module")
def mirror() -> Iterator[Hub]:
    with hub() as made:
        yield made


def bring(uri: str, folder: Path, env: dict[str, str] | None = None, part: str = "model") -> int:
    return main([uri, str(folder), part], env or {}, sleep=lambda seconds: None)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_prefix_of_a_bucket_lands_whole_and_a_second_run_fetches_nothing(
    s3: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "dataset"
    assert bring("s3://data/digits", target, {**s3, "IGNORE_PATTERNS": "*.bin"}) == 0
    assert tree(target) == {"a.txt": b"one"}
    (target / "mine").write_text("a file of the training")
    assert bring("s3://data/digits", target, {**s3, "IGNORE_PATTERNS": "*.bin"}) == 0
    assert "is in" in capsys.readouterr().out.splitlines()[-1]
    assert (target / "mine").exists()
    assert bring("s3://data/digits", target, s3) == 0, "other patterns are another download"
    assert tree(target) == {"a.txt": b"one", "b.bin": b"two"}


@pytest.mark.parametrize(
    ("uri", "env", "told"),
    [
        ("s3://data/none", {}, "there is nothing here"),
        ("s3://nobucket/x", {}, "there is nothing here"),
        ("s3://data/digits", {"IGNORE_PATTERNS": "*"}, "no object that IGNORE_PATTERNS leaves"),
        ("s3://data/digits", {"SECRET_ACCESS_KEY": "wrong"}, "permission denied"),
        ("s3://data/digits", {"ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ("s3://data/digits", {"ROLE_ARN": "arn:aws:iam::1:role/x"}, "ROLE_ARN is not supported; give ACCESS_KEY_ID"),
        ("gs://data/digits", {}, "the scheme 'gs' is unknown; use one of s3"),
    ],
)
def test_what_a_store_refuses_is_told_with_the_remedy(
    s3: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str, env: dict[str, str], told: str
) -> None:
    assert bring(uri, tmp_path / "model", {**s3, **env}) == 1
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "model").exists()


def test_the_platforms_keys_never_go_to_another_store() -> None:
    known = {"AWS_ENDPOINT_URL": "http://here", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert s3.client(known)._provider.retrieve().access_key == "key"
    assert s3.client({**known, "ENDPOINT": "http://there"})._provider is None


@pytest.mark.parametrize("name", ["e/a", "da", "d/", "dd/a"])
def test_neighbours_that_begin_alike_are_no_part_of_a_prefix(name: str) -> None:
    assert s3.relative(name, "d") is None


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ".", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    task = Task("s3://b/d", "dataset", tmp_path, {}, Meter("dataset", time.monotonic, print), time.sleep)
    with pytest.raises(Failure, match="leads out of the folder"):
        task.target(name)


def test_a_killed_download_is_not_used_half_and_goes_on_where_it_stopped(web: Files, tmp_path: Path) -> None:
    """SIGKILL in the middle, by a server that stops sending; then the same call again."""
    data, folder = os.urandom(3 << 20), tmp_path / "dataset"
    web.files["data.bin"], web.break_after = data, 2 << 20
    command = [sys.executable, "-m", "services.trainer.workloads.initializer", f"{web.url}/data.bin", str(folder)]
    program = subprocess.Popen([*command, "dataset"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while (
        not (part := folder.with_name(".dataset.partial") / ".data.bin.part").exists() or part.stat().st_size < 1 << 20
    ):
        time.sleep(0.005)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert not folder.exists()
    assert bring(f"{web.url}/data.bin", folder, part="dataset") == 0
    assert tree(folder) == {"data.bin": data}
    assert any(asked and asked.startswith("bytes=") and asked != "bytes=0-" for _, asked in web.asked), web.asked


def test_a_server_that_breaks_off_or_is_busy_is_asked_again(web: Files, tmp_path: Path) -> None:
    web.files["m.bin"], web.break_after, web.busy = b"0123456789" * 1000, 4000, 2
    assert bring(f"{web.url}/m.bin", tmp_path / "model") == 0
    assert tree(tmp_path / "model") == {"m.bin": b"0123456789" * 1000}
    assert [asked for _, asked in web.asked] == [None, None, None, "bytes=4000-"]


def test_a_checksum_is_compared_wherever_it_was_told(web: Files, tmp_path: Path, capsys) -> None:
    web.files["m"] = b"good"
    right = hashlib.sha256(b"good").hexdigest()
    assert bring(f"{web.url}/m#sha256={right}", tmp_path / "a") == 0
    assert bring(f"{web.url}/m#sha256={'0' * 64}", tmp_path / "b") == 1
    assert f"its SHA-256 is {right} and should be 000" in capsys.readouterr().err
    web.heads["m"] = {"X-Checksum-Sha256": "f" * 64}
    assert bring(f"{web.url}/m", tmp_path / "c") == 1
    web.heads["m"] = {"Repr-Digest": "sha-256=:dNCSYhqWGYkJ5ov28LiD6JTwuLR5hEyPGXJPtcDfnYg=:"}
    assert bring(f"{web.url}/m", tmp_path / "d") == 1
    assert not (tmp_path / "d").exists()


def test_the_web_says_what_is_wrong_and_a_token_opens(web: Files, tmp_path: Path, capsys) -> None:
    assert bring(f"{web.url}/none", tmp_path / "m") == 1
    assert "there is nothing here: HTTP 404" in capsys.readouterr().err
    web.files["m"], web.token = b"x", "t"
    assert bring(f"{web.url}/m", tmp_path / "m") == 1
    assert "permission denied: HTTP 401 Unauthorized; give ACCESS_TOKEN" in capsys.readouterr().err
    assert bring(f"{web.url}/m", tmp_path / "m", {"ACCESS_TOKEN": "t"}) == 0
    assert bring("http://127.0.0.1:9/m", tmp_path / "n") == 1
    assert "cannot be reached" in capsys.readouterr().err


def _tar(*members: tuple[str, bytes | str]) -> bytes:
    """Bytes are a file, text is the target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["d.tar.gz", "d.zip"])
def test_an_archive_is_unpacked_unless_told_otherwise(web: Files, tmp_path: Path, name: str) -> None:
    pack = _zip if name.endswith(".zip") else _tar
    web.files[name] = pack(("train/a.txt", b"one"), ("b.txt", b"two"))
    assert bring(f"{web.url}/{name}", tmp_path / "dataset") == 0
    assert tree(tmp_path / "dataset") == {"b.txt": b"two", "train/a.txt": b"one"}
    assert bring(f"{web.url}/{name}#unpack=false", tmp_path / "packed") == 0
    assert tree(tmp_path / "packed") == {name: web.files[name]}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.tar.gz", _tar(("../evil", b"x")), "leads out of the folder"),
        ("a.tar.gz", _tar(("/etc/evil", b"x")), "leads out of the folder"),
        ("a.tar.gz", _tar(("link", "/etc"), ("link/evil", b"x")), "is a link or a device"),
        ("a.zip", _zip(("../evil", b"x")), "leads out of the folder"),
        ("a.zip", _zip(("C:\\evil", b"x")), "leads out of the folder"),
        ("a.zip", _zip(("zeros", b"\0" * (300 << 20))), "unpacks to more than is allowed"),
        ("a.tar.gz", _tar(("a", b"x" * 10000))[:60], "cannot be unpacked"),
        ("a.zip", b"not a zip at all", "cannot be unpacked"),
    ],
    ids=["up", "absolute", "link", "zip up", "drive", "bomb", "cut off", "no archive"],
)
def test_an_archive_that_means_harm_or_is_broken_leaves_nothing(
    web: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, told: str
) -> None:
    web.files[name] = data
    assert bring(f"{web.url}/{name}", tmp_path / "in" / "dataset") == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "in" / "dataset").exists()
    assert list(tmp_path.glob("evil")) == [] and not Path("/etc/evil").exists()


def test_a_claims_folder_is_copied_and_what_lies_outside_of_it_is_not(tmp_path: Path, capsys) -> None:
    claim = tmp_path / "claim"
    (claim / "digits" / "train").mkdir(parents=True)
    (claim / "digits" / "train" / "a.txt").write_text("one")
    (tmp_path / "secret").write_text("x")
    (claim / "digits" / "out").symlink_to(tmp_path / "secret")
    env = {"SOURCE_FOLDER": str(claim)}
    assert bring("pvc://store/digits", tmp_path / "dataset", env) == 0
    assert tree(tmp_path / "dataset") == {"train/a.txt": b"one"}
    assert bring("pvc://store/digits/train/a.txt", tmp_path / "one", env) == 0
    assert tree(tmp_path / "one") == {"a.txt": b"one"}
    for wrong in ("pvc://store/none", "pvc://store/..%2Fsecret"):
        assert bring(wrong, tmp_path / "none", env) == 1
        assert "the claim store holds digits" in capsys.readouterr().err


def test_a_dataset_of_the_hub_comes_whole_and_goes_on_after_a_break(mirror: Hub, tmp_path: Path) -> None:
    files = {"data/train.jsonl": b"x" * 3_000_000, "README.md": b"hi", "old.bin": b"z"}
    mirror.put("dataset", "team/alpaca", files, break_after=1_000_000)
    env = {"HF_ENDPOINT": mirror.url, "IGNORE_PATTERNS": "*.bin"}
    assert bring("hf://team/alpaca", tmp_path / "dataset", env, "dataset") == 0
    assert tree(tmp_path / "dataset") == {name: data for name, data in sorted(files.items()) if name != "old.bin"}
    gets = [asked for method, path, asked in mirror.asked if method == "GET" and path.endswith("train.jsonl")]
    assert len(gets) == 2, "the break was no break"
    assert bring("hf://team/alpaca/data", tmp_path / "part", {"HF_ENDPOINT": mirror.url}, "dataset") == 0
    assert list(tree(tmp_path / "part")) == ["data/train.jsonl"]


@pytest.mark.parametrize(
    ("uri", "token", "told"),
    [
        ("hf://team/none", "t", "no model team/none on this hub"),
        (
            "hf://team/private",
            "",
            "permission denied: team/private is private or there is none (401); give ACCESS_TOKEN",
        ),
        ("hf://team/gated", "", "team/gated is gated, its owner must let you in first"),
        ("hf://team/private@v2", "t", "team/private has no revision v2"),
        ("hf://team/private/none", "t", "the repository has no none"),
    ],
)
def test_what_the_hub_refuses_is_told_with_the_remedy(
    mirror: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str, token: str, told: str
) -> None:
    mirror.put("model", "team/private", {"config.json": b"{}"}, token="t")
    mirror.put("model", "team/gated", {"config.json": b"{}"}, token="t", gated=True)
    assert bring(uri, tmp_path / "model", {"HF_ENDPOINT": mirror.url, "ACCESS_TOKEN": token}) == 1
    assert told in capsys.readouterr().err
    assert bring("hf://team/private", tmp_path / "model", {"HF_ENDPOINT": mirror.url, "ACCESS_TOKEN": "t"}) == 0


def test_a_repository_is_named_with_revision_and_path() -> None:
    assert parts("hf://org/name@refs%2Fpr%2F1/data/a.json") == ("org/name", "refs/pr/1", "data/a.json")


def test_a_folder_with_files_that_no_initializer_brought_is_left_alone(web: Files, tmp_path: Path, capsys) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("x")
    web.files["m"] = b"x"
    assert bring(f"{web.url}/m", tmp_path / "model") == 1
    assert "holds files that no initializer brought; mount that volume elsewhere" in capsys.readouterr().err
    assert (tmp_path / "model" / "mine").exists()


def test_the_program_knows_what_may_be_written_into_a_job() -> None:
    from services.trainer.domain.initializers import FORMS

    assert SOURCES.keys() == FORMS.keys()
