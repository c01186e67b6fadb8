"""What people see of a run as it goes on: every change once, through a time without answers, and what to type next."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from millstream.cli import lineagetext, pipelinecache, pipelinelooks, pipelineshow
from millstream.cli.pipelinecode import code
from millstream.cli.show import plain_table
from millstream.client import Client
from millstream.errors import ClientError, NotThere
from millstream.pipelines import runs
from millstream.pipelines.sharing import Tally
from rich.console import Console

from libs.testing.web import web_server

RUN = "aefc431f-b41c-455e-bf2b-02e64cae0eb9"
AT = "2026-11-23T10:00:00Z"
Answer = tuple[int, dict[str, Any]]


def run(state: str, **steps: str) -> Answer:
    """A run in this state, and its steps in theirs."""
    root = {"task_id": "r", "display_name": "root", "create_time": AT, "child_tasks": [{}]}
    tasks = [
        {"task_id": name, "parent_task_id": "r", "display_name": name, "state": word, "start_time": AT, "end_time": AT}
        for name, word in steps.items()
    ]
    whole = {"run_id": RUN, "state": state, "created_at": AT, "run_details": {"task_details": [root, *tasks]}}
    return 200, whole


@contextmanager
def platform(*answers: Answer) -> Iterator[Client]:
    """Whoever asks gets one after the other, and the last one for ever."""
    left = list(answers)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, said = left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with web_server(Door) as url, Client(url, "token") as client:
        yield client


def test_a_run_is_followed_through_a_time_without_answers_and_its_failure_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "LOOK_EVERY_S", 0.01)
    away: Answer = (503, {"message": "the service is being replaced"})
    running, over = run("RUNNING", a="SUCCEEDED", b="RUNNING"), run("FAILED", a="SUCCEEDED", b="FAILED")
    with platform(running, away, away, running, over) as client, pytest.raises(SystemExit):
        pipelineshow.follow(client, RUN)
    told = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert told[:3] == ["SUCCEEDED a  0.0 s", "RUNNING b  0.0 s", "FAILED b  0.0 s"]
    assert told[-1] == f"its log: millstream pipeline logs {RUN} b"


def test_a_run_that_is_gone_and_a_platform_that_stays_away_are_not_waited_for_for_ever() -> None:
    looks: list[float] = []
    with platform((404, {"message": "no run"})) as client, pytest.raises(NotThere):
        next(runs.follow(client, RUN, looks.append))
    assert not looks
    with platform((503, {"message": "not now"})) as client, pytest.raises(Exception, match="not now"):
        next(runs.follow(client, RUN, looks.append))
    assert len(looks) == runs.PATIENT_LOOKS


def test_who_stops_looking_is_told_that_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupted(Client):
        def request(self, method: str, path: str, **options: Any) -> Any:
            raise KeyboardInterrupt

    with Interrupted("http://127.0.0.1:1", "token") as client, pytest.raises(KeyboardInterrupt):
        pipelineshow.follow(client, RUN)
    assert f"the run goes on: `millstream pipeline show {RUN}`" in capsys.readouterr().out


def test_names_that_look_like_markup_are_shown_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"artifact_id": "a", "name": "[/red]", "type": "Model", "artifact_size": "1", "uri": "s3://b/[x]"}
    with platform((200, {"run_id": RUN, "artifacts": [made]})) as client:
        monkeypatch.setattr(pipelinelooks, "connect", lambda home: client)
        pipelinelooks.artifacts(RUN)
    told = capsys.readouterr().out
    assert "[/red]" in told and "s3://b/[x]" in told


def test_a_task_that_waits_for_a_person_shows_its_question_and_how_to_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, whole = run("RUNNING", wait="PAUSED", other="RUNNING")
    asked = {"path": "root/wait", "uid": "wait", "inputs": {"parameters": {"question": "Shall we?"}}}
    with platform((200, {"tasks": [asked]})) as client:
        pipelineshow.print_questions(client, whole)
    told = capsys.readouterr().out
    assert told == f"wait: Shall we?\n    `millstream pipeline approve {RUN} wait`, or reject\n"


def test_artifacts_are_listed_without_logs_and_without_what_all_places_have_in_common(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = "s3://millstream/pipelines/default"
    places = {"model": f"{home}/{RUN}/train/1/model", "old": f"{home}/other/a/1/x", "executor-logs": f"{home}/{RUN}/l"}
    made = [
        {"artifact_id": name, "name": name, "type": "T", "artifact_size": "1", "uri": uri}
        for name, uri in places.items()
    ]
    with platform((200, {"run_id": RUN, "artifacts": made})) as client:
        monkeypatch.setattr(pipelinelooks, "connect", lambda home: client)
        pipelinelooks.artifacts(RUN)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-1] for row in rows] == ["URI", ".../train/1/model", ".../other/a/1/x"]


def test_a_steps_artifacts_are_shown_with_their_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"uri": "s3://b/m", "metadata": {"accuracy": 0.5, "kind": ":x:", "confusionMatrix": {"rows": []}}}
    logs = {"uri": "s3://b/log", "metadata": {}}
    pipelineshow.print_values({"parameters": {}, "artifacts": {"m": [metrics], "executor-logs": [logs]}}, "outputs")
    assert capsys.readouterr().out == 'outputs\n  m: s3://b/m  (accuracy = 0.5, kind = ":x:")\n'


def test_the_code_of_a_step_is_its_source_or_its_command() -> None:
    python = {"image": "python:3.11", "command": ["sh", "-ec", "python3 -m kfp.dsl.executor_main", "\ndef f(): ...\n"]}
    shell = {"image": "alpine", "command": ["echo"], "args": ["two words"]}
    executors = {"p": {"container": python}, "s": {"container": shell}, "i": {"importer": {}}}
    components = {name: {"executorLabel": name} for name in executors} | {"g": {"dag": {}}}
    spec = {"components": components, "deploymentSpec": {"executors": executors}}
    for run in ({"pipeline_spec": spec}, {"pipeline_spec": {"pipeline_spec": spec, "platform_spec": {}}}):
        assert code(run, {"component": "p"}) == "# image: python:3.11\ndef f(): ..."
        assert code(run, {"component": "s"}) == "# image: alpine\necho 'two words'"
        assert "no code runs" in code(run, {"component": "i"}) and "group" in code(run, {"component": "g"})


def test_an_error_is_shown_once_beside_its_step_and_not_again_beside_the_groups_around_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def task(id: str, above: str, why: str, *inside: str) -> dict[str, Any]:
        parts = [{"task_id": each} for each in inside]
        return {"task_id": id, "parent_task_id": above, "display_name": id, "state": "FAILED", "child_tasks": parts,
                "error": {"message": why}}  # fmt: skip

    tasks = [task("run", "", "", "loop", "odd"), task("loop", "run", "task `loop/step` failed: boom", "step")]
    tasks += [task("step", "loop", "boom"), task("odd", "run", "nolist", "nothing")]
    pipelineshow.print_tasks({"run_details": {"task_details": tasks}})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["loop", "FAILED"], ["step", "FAILED", "boom"], ["odd", "FAILED", "nolist"]]


def test_only_an_artifacts_lineage_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="give the id of the one that model-registry://m/1 came from"):
        pipelinelooks.lineage("model-registry://m/1", svg=tmp_path / "l.svg")


def test_a_run_is_found_by_how_its_id_begins_if_only_one_does() -> None:
    none, near = (200, {"runs": []}), (200, {"runs": [{"run_id": RUN}, {"run_id": "aefc0000"}]})
    gone = (404, {"message": "no run"})
    with platform(gone, none, none, near, run("SUCCEEDED")) as client:
        assert runs.find(client, "aefc431f", "default")["run_id"] == RUN
    with platform(gone, none, none, near) as client, pytest.raises(NotThere, match="no run has the id or the name"):
        runs.find(client, "aefc", "default")
    with platform(gone, none) as client, pytest.raises(NotThere):
        runs.find(client, "squares", "default")


def test_a_step_whose_outputs_came_from_the_cache_is_told_as_such() -> None:
    step = {"start_time": AT, "end_time": AT, "outputs": {"executor-logs": {"artifact_ids": ["1"]}}}
    assert pipelineshow.took(step) == "cached"
    assert pipelineshow.took({**step, "end_time": "2026-11-23T10:00:00.05Z"}) == "0.1 s"
    assert pipelineshow.took({**step, "outputs": {}}) == "0.0 s"


def test_a_run_of_which_nothing_is_kept_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClientError, match="nothing is kept of 'squares': none of its steps succeeded"):
        pipelinecache.print_tally_of("squares", "sent", Tally())
    pipelinecache.print_tally_of("squares", "sent", Tally(known=2))
    pipelinecache.print_tally_of("", "sent", Tally())
    assert capsys.readouterr().out.splitlines()[0] == "0 results sent (0.0 MB), 2 were there already"


def test_an_id_is_never_folded_however_narrow_the_terminal() -> None:
    console = Console(width=70)
    with console.capture() as shown:
        console.print(
            plain_table(["RUN", "NAME"], [[RUN, "a name that is far too long for what is left of it"]], "RUN")
        )
    assert RUN in shown.get() and "too long" in shown.get()


@pytest.mark.parametrize(
    ("now", "age"),
    [("10:00:01", "1s"), ("10:00:59", "59s"), ("10:01:59", "119s"), ("10:02:00", "2m"), ("13:00:00", "3h")],
)
def test_an_age_is_one_figure(now: str, age: str) -> None:
    at = datetime.fromisoformat(f"2026-11-23T{now}").replace(tzinfo=UTC)
    assert pipelineshow.age({"created_at": AT}, at) == age


def artifact(name: str) -> dict[str, str]:
    return {"artifact_id": name, "name": name, "type": "Model", "uri": f"s3://b/{name}"}


def drawn(told: dict[str, Any], of: str) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    for tree in lineagetext.trees(told, of):
        console.print(tree)
    return console.export_text()


def test_a_lineage_names_jobs_beside_their_steps_and_those_that_no_step_started_by_themselves() -> None:
    edge = {"task_id": "t", "artifact_id": "model", "kind": "out", "name": "model"}
    printed = {"task_id": "u", "artifact_id": "log", "kind": "out", "name": "executor-logs"}
    used = {"task_id": "u", "artifact_id": "model", "kind": "in", "name": "model"}
    links = [("t", "job/1", "started"), ("job/1", "model", "made"), ("model", "job/2", "read")]
    links += [("job/2", "tuned", "made"), ("job/2", "version/7", "registered")]
    jobs = [{"id": f"job/{n}", "kind": "TrainJob", "name": f"fit-{n}", "state": "SUCCEEDED"} for n in (1, 2)]
    told = {
        "artifacts": [artifact("model"), artifact("tuned"), artifact("log")],
        "tasks": [
            {"task_id": id, "path": f"root/{name}", "parameters": {}} for id, name in (("t", "train"), ("u", "judge"))
        ],
        "edges": [edge, used, printed],
        "jobs": jobs,
        "model_versions": [{"id": "version/7", "model": "digits", "version": "7"}],
        "endpoints": [],
        "links": [{"from": a, "to": b, "kind": kind} for a, b, kind in links],
    }
    before, after = drawn(told, "model").split("used by")
    assert "train ()" in before and "started TrainJob fit-1 succeeded" in before
    assert "TrainJob fit-2 succeeded" in after and "tuned Model" in after
    assert "judge ()" in after and "log" not in after, "what steps printed is no part of where things came from"
    assert "model-registry://digits/7" in after.split("registered and served as")[1]
    assert drawn({**told, "artifacts": [], "edges": []}, "model-registry://digits/7").startswith(
        "registered and served as"
    )
