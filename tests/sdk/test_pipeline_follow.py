"""`millstream pipeline logs -f`: every line once, through lost connections and attempts, and it ends with the step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from millstream.cli import pipelinefollow
from millstream.cli.pipelineprelude import folded
from millstream.client import Client
from millstream.errors import ClientError

from libs.testing.web import web_server

RUN = "aefc431f-b41c-455e-bf2b-02e64cae0eb9"


def step(name: str, state: str, attempt: int = 1) -> dict[str, Any]:
    began = "2026-11-23T10:00:00Z" if state not in ("PENDING", "SKIPPED") else ""
    told = {"uid": name, "path": f"root/{name}", "name": name, "display_name": name, "parent": "root", "kind": "step"}
    return {**told, "state": state, "attempt": attempt, "started_at": began, "cached_from": ""}


@contextmanager
def platform(looks: list[list[dict[str, Any]]], logs: list[str]) -> Iterator[Client]:
    """Each look at the tasks, and each log, is answered by the next; the last look for ever. The run goes on until the
    looks are used up."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/log" in self.path:
                said = logs.pop(0)
            elif self.path.endswith("/tasks"):
                said = json.dumps({"tasks": looks.pop(0) if len(looks) > 1 else looks[0]})
            else:
                said = json.dumps({"run_id": RUN, "state": "RUNNING" if len(looks) > 1 else "SUCCEEDED"})
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

    with web_server(Door) as url, Client(url, "token") as client:
        yield client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelinefollow, "LOOK_EVERY_S", 0.001)


def test_a_steps_lines_are_told_once_over_lost_connections_and_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    looks = [
        [],  # not even known yet
        [step("train", "PENDING")],
        [step("train", "RUNNING")],
        [step("train", "RUNNING")],
        [step("train", "RUNNING", attempt=2)],
        [step("train", "SUCCEEDED", attempt=2)],
    ]
    logs = ["one\n", "one\ntwo\n", "three\n", "three\nfour\n"]
    with platform(looks, logs) as client:
        pipelinefollow.follow(client, RUN, "train")
    assert capsys.readouterr().out == "one\ntwo\ntrain (attempt 2)\nthree\nfour\n" and logs == []


def test_all_steps_follow_one_another_and_what_did_not_run_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    over = [step("a", "SUCCEEDED"), step("b", "FAILED"), step("c", "SKIPPED")]
    with platform([[step("a", "RUNNING")], over], ["first\n", "first\n", "second\n"]) as client:
        pipelinefollow.follow(client, RUN, "")
    assert capsys.readouterr().out == "a\nfirst\nb\nsecond\n"


def test_who_follows_a_step_that_does_not_come_is_told_its_names_when_the_run_is_over() -> None:
    with platform([[step("a", "SUCCEEDED")]], []) as client, pytest.raises(ClientError, match=r"'b'; there are a$"):
        pipelinefollow.follow(client, RUN, "b")


PRELUDE = """[KFP Executor 2026-11-23 10:05:43,691 INFO]: Looking for component `train`
[KFP Executor 2026-11-23 10:05:43,728 INFO]: Got executor_input:
{
    "inputs": {}
}
"""


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (PRELUDE + "training\n}\n", "(5 lines of kfp's executor are left out: --all shows them)\ntraining\n}\n"),
        ("training\n" + PRELUDE, "training\n" + PRELUDE),
        (PRELUDE[:-3], PRELUDE[:-3]),  # a step that is killed before it begins
        (PRELUDE[:-2] + "odd\n}\n", PRELUDE[:-2] + "odd\n}\n"),
        ("", ""),
    ],
)
def test_only_what_kfps_executor_prints_before_a_step_is_left_out(log: str, told: str) -> None:
    lines = enumerate(log.splitlines(keepends=True))
    assert "".join(line for _, line in folded(lines)) == told


def test_a_connection_that_is_lost_within_the_prelude_costs_no_line_of_the_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = [[step("train", "RUNNING")], [step("train", "RUNNING")], [step("train", "SUCCEEDED")]]
    with platform(looks, [PRELUDE[:-2], PRELUDE + "one\n", PRELUDE + "one\ntwo\n"]) as client:
        pipelinefollow.follow(client, RUN, "train", whole=False)
    assert capsys.readouterr().out.splitlines()[-2:] == ["one", "two"]
