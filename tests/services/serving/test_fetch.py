"""How a model comes to the server: from a real S3 store, over HTTP, from disk; and what is said when it does not."""

from pathlib import Path

import pytest

from libs.testing.files import file_server
from services.serving.workloads.model_server.failure import StartFailure
from services.serving.workloads.model_server.fetch import fetch
from services.serving.workloads.model_server.frameworks import find_model_file, framework
from tests.blobs.server import pod_variables, s3_server

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """rclone serving a folder as a bucket store; gives the environment of a pod that may read it."""
    root = tmp_path_factory.mktemp("s3")
    for name, text in {"model.onnx": "graph", "data/extra.bin": "more", "modelling/other": "no"}.items():
        path = root / "models" / ("iris" if not name.startswith("modelling") else "iris-other") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with s3_server(root) as endpoint:
        yield pod_variables(endpoint)


@pytest.fixture
def web():
    with file_server() as site:
        site.files["model.onnx"] = b"graph"
        yield site.url


def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("uri", ["s3://models/iris", "s3://models/iris/", "s3://models/iris?endpoint=http%3A%2F%2Fx"])
def test_a_folder_of_a_bucket_comes_whole_and_its_neighbour_does_not(s3, tmp_path, uri):
    found = fetch(uri, into(tmp_path), s3, LIMIT)
    assert sorted(str(p.relative_to(found)) for p in found.rglob("*") if p.is_file()) == [
        "data/extra.bin",
        "model.onnx",
    ]
    assert find_model_file(framework("onnx"), found).read_text() == "graph"


def test_a_single_object_comes_as_a_file(s3, tmp_path):
    found = fetch("s3://models/iris/model.onnx", into(tmp_path), s3, LIMIT)
    assert (found.name, found.read_text()) == ("model.onnx", "graph")


def test_a_file_comes_over_http_and_is_used_in_place_from_disk(web, tmp_path):
    found = fetch(f"{web}/model.onnx", into(tmp_path), {}, LIMIT)
    assert found.read_text() == "graph"
    assert fetch(f"file://{found}", tmp_path, {}, LIMIT) == found
    assert fetch(str(found), tmp_path, {}, LIMIT) == found


@pytest.mark.parametrize(
    ("why", "uri", "reason", "limit"),
    [
        ("no such folder", "s3://models/rose", "ModelNotFound", LIMIT),
        ("no such bucket", "s3://nothing/iris", "ModelNotFound", LIMIT),
        ("too many bytes", "s3://models/iris", "ModelTooLarge", 5),
        ("no prefix", "s3://models", "BadArguments", LIMIT),
        ("an unknown scheme", "ftp://x/y", "BadArguments", LIMIT),
        ("no such file", "/nonexistent/model.onnx", "ModelNotFound", LIMIT),
    ],
)
def test_what_cannot_be_fetched_is_said_with_its_uri(s3, tmp_path, why, uri, reason, limit):
    with pytest.raises(StartFailure) as failed:
        fetch(uri, into(tmp_path), s3, limit)
    assert (failed.value.reason, why) == (reason, why)


def test_wrong_keys_are_a_failed_download(s3, tmp_path):
    with pytest.raises(StartFailure) as failed:
        fetch("s3://models/iris", into(tmp_path), s3 | {"AWS_SECRET_ACCESS_KEY": "wrong-wrong"}, LIMIT)
    assert failed.value.reason == "DownloadFailed"


def test_http_answers_are_told_apart(web, tmp_path):
    folder = into(tmp_path)
    for uri, limit, reason in (
        (f"{web}/none.onnx", LIMIT, "ModelNotFound"),
        (f"{web}/model.onnx", 2, "ModelTooLarge"),
        ("http://127.0.0.1:1/model.onnx", LIMIT, "DownloadFailed"),
    ):
        with pytest.raises(StartFailure) as failed:
            fetch(uri, folder, {}, limit)
        assert failed.value.reason == reason


def test_two_models_in_one_folder_are_ambiguous_unless_one_is_called_model(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(StartFailure, match=r"several \.onnx files"):
        find_model_file(framework("onnx"), tmp_path)
    (tmp_path / "model.onnx").touch()
    assert find_model_file(framework("onnx"), tmp_path).name == "model.onnx"
