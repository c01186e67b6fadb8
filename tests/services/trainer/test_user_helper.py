"""What user code calls inside a job, against a real S3 server and a listener in the trainer's place."""

import atexit
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from millstream import reporting
from millstream import training as mt

from libs.testing.bus_server import free_port
from libs.testing.web import web_server
from tests.platform import until


@pytest.fixture
def pod(s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's own folder and environment."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MILLSTREAM_MODEL_URI", "s3://millstream/models/team/digits/")
    monkeypatch.setenv("MILLSTREAM_DATASET_URI", "s3://data/digits")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_prefix_becomes_a_folder_without_its_neighbours(pod: Path):
    folder = Path(mt.dataset())
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"a.txt": "one", "b.bin": "two"}
    assert mt.dataset() == str(folder)


def test_an_object_becomes_a_file_and_a_local_path_stays(pod: Path):
    assert Path(mt.dataset("s3://data/digits/a.txt")).read_text() == "one"
    assert mt.dataset("/some/where") == "/some/where"


def test_nothing_at_the_uri_is_told_as_such(pod: Path):
    with pytest.raises(FileNotFoundError, match="nothing at s3://data/none"):
        mt.dataset("s3://data/none")
    with pytest.raises(ValueError, match="cannot fetch 'hf://a/b'"):
        mt.dataset("hf://a/b")


def test_a_store_that_does_not_answer_is_told_with_the_remedy(pod: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("urllib3.util.retry.time.sleep", lambda _: None)
    for use in (mt.dataset, lambda: mt.save_model(b"x")):
        with pytest.raises(ConnectionError, match=r"no object store answers: .*refused.*; outside of a job, `source"):
            use()


def test_a_model_file_folder_or_bytes_lands_in_the_jobs_own_place(pod: Path):
    (pod / "model.pt2").write_bytes(b"weights")
    assert mt.save_model(pod / "model.pt2") == "s3://millstream/models/team/digits/model.pt2"
    assert Path(mt.dataset("s3://millstream/models/team/digits/model.pt2")).read_bytes() == b"weights"
    assert mt.save_model(b"x", uri="s3://millstream/other/", name="m.onnx") == "s3://millstream/other/m.onnx"
    (pod / "saved" / "v1").mkdir(parents=True)
    (pod / "saved" / "v1" / "w").write_bytes(b"y")
    assert mt.save_model(pod / "saved", uri="s3://millstream/tree") == "s3://millstream/tree/"
    assert (Path(mt.dataset("s3://millstream/tree")) / "v1" / "w").read_bytes() == b"y"


def test_outside_of_a_job_a_model_needs_a_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MILLSTREAM_MODEL_URI", raising=False)
    with pytest.raises(ValueError, match="give an s3:// URI"):
        mt.save_model(b"x")


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What arrives where the trainer would listen: (Authorization, body)."""
    got: list[tuple[str, dict[str, Any]]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_TOKEN", str(tmp_path / "token"))
    with web_server(Listener) as url:
        monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", f"{url}/x")
        monkeypatch.setattr(reporting, "reporter", reporting.Reporter())
        yield got
        atexit.unregister(reporting.reporter.flush)


def test_reports_are_few_and_the_last_one_is_never_lost(heard: list[tuple[str, dict[str, Any]]]):
    mt.report(progress=0)
    until(lambda: len(heard) == 1, 30, "the first report leaves at once")
    for step in range(1, 101):
        mt.report(progress=step, metrics={"loss": 1 / step}, step=step)
    mt.flush()
    assert len(heard) == 2
    assert heard[0][0] == "Bearer secret"
    last = heard[-1][1]
    assert last["trainerStatus"]["progressPercentage"] == 100
    assert last["trainerStatus"]["metrics"] == [{"name": "loss", "value": "0.01"}]
    assert last["environment"]["python"].startswith("3.") and last["step"] == 100


def test_only_the_first_rank_is_heard(heard: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RANK", "1")
    mt.report(progress=1)
    mt.flush()
    assert heard == []


def test_a_silent_trainer_fails_no_training(heard: list, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", "http://127.0.0.1:9/x")
    monkeypatch.setattr(reporting, "FLUSH_TRIES", 1)
    mt.report(progress=1)
    mt.flush()
    assert "progress could not be reported" in capsys.readouterr().err
