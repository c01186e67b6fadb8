"""The Python client: names that people use, errors in the server's own words, waiting that ends; over a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from millstream.archive import Job
from millstream.cli.joblogs import LogChoice, print_job_logs
from millstream.client import Client
from millstream.discovery import ServedResource, find, find_kind, parse_aggregated
from millstream.errors import ClientError, NotThere

from libs.testing.bus_server import free_port

PREFIX = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs"
GROUPS = {
    "items": [
        {
            "metadata": {"name": "trainer.kubeflow.org"},
            "versions": [
                {
                    "version": "v1alpha1",
                    "resources": [
                        {
                            "resource": "trainjobs",
                            "singularResource": "trainjob",
                            "shortNames": ["tj"],
                            "scope": "Namespaced",
                            "responseKind": {"kind": "TrainJob"},
                        },
                        {
                            "resource": "clustertrainingruntimes",
                            "scope": "Cluster",
                            "responseKind": {"kind": "ClusterTrainingRuntime"},
                        },
                    ],
                }
            ],
        }
    ]
}
CORE = {
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [{"resource": "pods", "scope": "Namespaced", "responseKind": {"kind": "Pod"}}],
                }
            ],
        }
    ]
}
JOB = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": "mnist"}}


def _job(**conditions: str) -> dict[str, Any]:
    told = [{"type": name, "status": "True", "message": message} for name, message in conditions.items()]
    return {**JOB, "status": {"conditions": told}}


class Server(ThreadingHTTPServer):
    """Answers what a test put into `answers` (path -> status, body) and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.say("/apis", GROUPS)
        self.say("/api", CORE)

    def say(self, path: str, *documents: Any, status: int = 200) -> None:
        self.answers[path] = (status, b"\n".join(json.dumps(document).encode() for document in documents))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.server.asked.append((self.command, path, {"query": query, **self.headers}, body))
        status, answer = self.server.answers.get(path, (404, b'{"message": "not found here"}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, token="ms-token") as client:
        yield client


@pytest.mark.parametrize("word", ["trainjobs", "trainjob", "tj", "TrainJob", "trainjobs.trainer.kubeflow.org"])
def test_a_kind_is_found_by_each_of_its_names(word: str) -> None:
    found = find(parse_aggregated(GROUPS), word)
    assert found is not None and found.plural == "trainjobs"


def test_paths_follow_scope_and_group() -> None:
    job, runtime = parse_aggregated(GROUPS)
    [pod] = parse_aggregated(CORE)
    assert job.path("team", "mnist") == f"{PREFIX}/mnist"
    assert job.path(None) == "/apis/trainer.kubeflow.org/v1alpha1/trainjobs"
    assert runtime.path("team", "torch") == "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/torch"
    assert pod.path("team") == "/api/v1/namespaces/team/pods"
    assert find_kind([job, pod], "v1", "Pod") is pod and find_kind([job, pod], "v2", "Pod") is None
    assert isinstance(job, ServedResource)


def test_apply_is_a_forced_server_side_apply_with_the_token(client: Client, server: Server) -> None:
    server.say(f"{PREFIX}/mnist", _job())
    client.apply(JOB, namespace="team", dry_run=True)
    method, path, headers, body = server.asked[-1]
    assert (method, path, json.loads(body)) == ("PATCH", f"{PREFIX}/mnist", JOB)
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert headers["Authorization"] == "Bearer ms-token"
    assert {"fieldManager=millstream", "force=true", "dryRun=All"} <= {*headers["query"].split("&")}


def test_a_manifest_without_a_name_is_refused_before_anything_is_sent(client: Client, server: Server) -> None:
    with pytest.raises(ClientError, match=r"metadata\.name is missing"):
        client.apply({**JOB, "metadata": {}})
    assert server.asked == []


def test_kinds_that_nobody_serves_are_named(client: Client) -> None:
    with pytest.raises(ClientError, match="no kind is called 'tranjob'"):
        client.get("tranjob", "mnist")
    with pytest.raises(ClientError, match="no kind 'TrainJob' in 'v9'"):
        client.apply({**JOB, "apiVersion": "v9"})


def test_an_error_carries_the_servers_words_code_and_status(client: Client, server: Server) -> None:
    status = {"kind": "Status", "message": "spec.trainer.numNodes: must be at least 1", "code": 422}
    server.say(f"{PREFIX}/mnist", status, status=422)
    with pytest.raises(ClientError, match="numNodes: must be at least 1") as raised:
        client.apply(JOB, namespace="team")
    assert raised.value.code == 422 and raised.value.status == status


def test_what_is_not_there_is_an_error_to_get_and_none_to_find(client: Client) -> None:
    with pytest.raises(NotThere):
        client.get("tj", "gone", namespace="team")
    assert client.find("tj", "gone", namespace="team") is None


def test_an_answer_that_is_no_json_is_told_as_it_came(client: Client, server: Server) -> None:
    server.answers[f"{PREFIX}/mnist"] = (502, b"bad gateway from somebody else")
    with pytest.raises(ClientError, match="bad gateway from somebody else"):
        client.get("tj", "mnist", namespace="team")


def test_a_platform_that_does_not_run_is_told_with_the_remedy() -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(ClientError, match="millstream status"):
        client.get("tj", "mnist")


def test_a_home_that_never_started_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="start one with `millstream up"):
        Client.from_home(tmp_path)


def test_waiting_ends_with_the_condition(client: Client, server: Server) -> None:
    happenings = [{"type": "ADDED", "object": _job()}, {"type": "MODIFIED", "object": _job(Complete="done")}]
    server.say(PREFIX, *happenings)
    assert client.wait("tj", "mnist", "Complete", namespace="team", timeout_s=10) == _job(Complete="done")
    assert "fieldSelector=metadata.name%3Dmnist" in server.asked[-1][2]["query"]


def test_waiting_ends_at_once_with_a_failures_own_words(client: Client, server: Server) -> None:
    server.say(PREFIX, {"type": "ADDED", "object": _job(Failed="node 1 ended with exit code 3")})
    with pytest.raises(ClientError, match="node 1 ended with exit code 3"):
        client.wait("tj", "mnist", "Complete", namespace="team", timeout_s=10)


def test_waiting_ends_when_its_time_is_over(client: Client, server: Server) -> None:
    server.say(PREFIX, {"type": "ADDED", "object": _job()})
    with pytest.raises(ClientError, match="Complete was not met within"):
        client.wait("tj", "mnist", "Complete", namespace="team", timeout_s=0.3)


@pytest.mark.parametrize("follow", [False, True])
def test_the_logs_of_a_job_that_never_was_are_an_error_and_no_silence(
    client: Client, server: Server, follow: bool
) -> None:
    server.say("/api/v1/namespaces/team/pods", {"items": []})
    with pytest.raises(ClientError, match="there is no trainjobs/nope in team, and nothing is kept of one"):
        print_job_logs(Job.find(client, "trainjob", "nope", "team"), LogChoice(), follow)


def test_a_job_that_printed_nothing_is_told_apart_from_silence(
    client: Client, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    pod = {"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [{"name": "node"}]}}
    server.say("/api/v1/namespaces/team/pods", {"items": [pod]})
    server.answers["/api/v1/namespaces/team/pods/p/log"] = (200, b"")
    print_job_logs(Job.find(client, "trainjob", "mute", "team"), LogChoice(), False)
    out, err = capsys.readouterr()
    assert out == "" and "nothing was printed; `millstream describe trainjobs mute -n team` tells more" in err
