"""KFP's own SDK, unmodified, runs all that it compiles; a day's work with it; recurring runs; what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from libs.blobs import Endpoint, S3Blobs
from tests.clients.conftest import Client

GOLDEN = Path(__file__).parents[1] / "services" / "pipelines" / "golden"
GIVEN = "pipelines/default/given.txt"
WELL, FAILED, SKIPPED = "SUCCEEDED", "FAILED", "SKIPPED"

GOES_WELL = {
    "kfp_2.17.0": (
        "artifact_lists", "artifacts", "branches", "collected", "container", "everything", "importer",
        "kubernetes_late", "loops", "nested", "optional", "parameters", "passthrough", "workspace",
    ),
    "kfp_2.0.1": ("artifacts", "condition"),
}  # fmt: skip
"""Their components look at what they are given themselves, and fail when it is other than it should be."""


def _ran(told: dict[str, Any], name: str) -> int:
    """How many tasks of that component ran; KFP numbers a component's tasks: add, add-2, ..."""
    return sum(states.count(WELL) for task, states in told["tasks"].items() if task.partition("-")[0] == name)


async def _put(store: Endpoint, key: str, data: bytes) -> None:
    blobs = S3Blobs(store, "millstream")
    await blobs.put(key, data)
    blobs.close()


@pytest.fixture(scope="session")
def golden(kfp: Client, kubectl: Client) -> dict[str, dict[str, Any]]:
    """How the compiled pipelines ended, by release and name; all ran at once on one laptop."""
    env = kfp.platform.env
    store = Endpoint(env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    asyncio.run(_put(store, GIVEN, b"words given"))
    kubectl.call("kubectl", "create", "secret", "generic", "keys", "--from-literal=password=sesame")
    kubectl.call("kubectl", "create", "configmap", "colours", "--from-literal=colour=blue")
    wanted = [f"{release}/{name}" for release, names in GOES_WELL.items() for name in names]
    wanted += ["kfp_2.17.0/exits", "kfp_2.17.0/upstream"]
    uri = {"uri": f"s3://millstream/{GIVEN}"}
    arguments = {"optional": {"word": "w"}, "importer": uri, "workspace": uri}
    files = {str(GOLDEN / f"{each}.yaml"): arguments.get(each.rpartition("/")[2], {}) for each in wanted}
    told = kfp.program("kfp_golden", files=files, within_s=200)
    return {str(Path(file).relative_to(GOLDEN).with_suffix("")): ended for file, ended in told.items()}


@pytest.mark.timeout(300)
def test_every_feature_that_kfp_compiles_runs_to_its_end(golden: dict[str, dict[str, Any]]) -> None:
    names = [f"{release}/{name}" for release, names in GOES_WELL.items() for name in names]
    others = {name: golden.get(name) for name in names if golden.get(name, {}).get("state") != WELL}
    assert not others


def test_branches_run_the_one_that_is_meant_and_loops_once_an_item(golden: dict[str, dict[str, Any]]) -> None:
    branches, loops = golden["kfp_2.17.0/branches"]["tasks"], golden["kfp_2.17.0/loops"]
    assert (branches["coin"], branches["die"], branches["other"]) == ([SKIPPED], [SKIPPED], [WELL])
    assert branches["show"] == [WELL], "nothing came out of the branches"
    # outside, 2 objects, 2 names x 3 numbers, 2 objects found, none of an empty list
    assert _ran(loops, "add") == 1 + 2 + 2 * 3 + 2
    assert _ran(golden["kfp_2.17.0/collected"], "double") == 3 + 2 * 2 * 2


def test_an_exit_task_runs_and_hears_of_the_failure_and_the_run_has_failed(golden: dict[str, dict[str, Any]]) -> None:
    exits, upstream = golden["kfp_2.17.0/exits"], golden["kfp_2.17.0/upstream"]
    assert exits["state"] == FAILED and any("broken on purpose" in error for error in exits["errors"])
    assert (exits["tasks"]["tell"], exits["tasks"]["tidy"]) == ([WELL], [WELL])
    assert (upstream["state"], upstream["tasks"]["fail"]) == (FAILED, [FAILED])
    assert (upstream["tasks"]["say"], upstream["tasks"]["say-2"]) == ([WELL], [WELL])
    assert upstream["tasks"].get("say-3", [SKIPPED]) == [SKIPPED]


@pytest.mark.timeout(300)
def test_a_pipeline_is_uploaded_run_found_cached_ended_retried_and_removed(kfp: Client) -> None:
    told = kfp.program("kfp_journey", folder=str(kfp.bin.parent))
    assert told["pipeline"] and "a pipeline named 'sum' already exists" in told["twice"]
    assert "upload a version of it" in told["twice"]
    assert (told["versions"], told["spec"], told["pipelines"]) == (["second", "sum"], "sum", ["sum"])
    assert (told["ended"], told["tasks"]) == ([WELL] * 3, ["add", "add-2", "expect"])
    assert told["parameters"] == {"a": 2, "b": 2, "wanted": 7}
    assert (told["pages"], told["last page"]) == ([["run-2", "run-1"], ["run-0"]], "")
    assert told["found"] == ["run-1"]
    assert told["cached"] == {"add": WELL, "add-2": WELL, "expect": WELL} and told["cached_s"] < 15
    assert told["terminated"] == "CANCELED" and told["terminated tasks"]["wait-for"] == "CANCELED"
    assert told["terminated tasks"].get("add", "SKIPPED") != WELL
    assert told["failed"][0] == FAILED and "FileNotFoundError" in told["failed"][1]
    assert told["retried"] == [WELL, True, False], "what had gone well ran again, or what failed did not"
    assert "only a failed or canceled one is retried" in told["retried twice"]
    assert (told["archived"], told["unarchived"], told["experiment"]) == ("ARCHIVED", "AVAILABLE", "ARCHIVED")
    assert "not found" in told["gone"] and "delete them first" in told["pipeline with versions"]
    assert told["no pipeline"] is None


@pytest.mark.timeout(180)
def test_every_other_call_of_kfps_clients_is_answered_as_kfp_answers(kfp: Client) -> None:
    told = kfp.program("kfp_every_call")
    assert (told["pipeline"], told["version"], told["listed"]) == (["d", True], "by-function", 1)
    assert told["versions"] == ["every", "by-function", "by-file"]
    assert told["experiment"] == [True, "All calls", 1, " No experiment is found with name nobody."]
    assert (told["states"], told["ran"]) == ([WELL] * 3, [True, True, False]), "a cache key of one's own counts alone"
    assert (told["root"], told["account"], told["of the experiment"]) == (True, "default", 3)
    assert told["by time"] == told["by number"] == [1, 2, 1, 2, 1, 2]
    assert told["by text"] == [1, 2, 2, 1, 0] and all(told["pages"])
    assert told["job"] == ["DISABLED", "ENABLED", "DISABLED", True, "3", "default"]
    assert told["context"] == ["default", True] and (told["health"], told["auth"]) == (False, {})
    assert (told["changed"], told["changed version"]) == (["shown", {"a": "b"}, "both"], "better")
    assert (told["newest"], told["again"], told["plugins"]) == (WELL, "AVAILABLE", {"mlflow": {"disabled": True}})
    assert told["no root"].startswith("400 ") and "runtime_config.pipeline_root" in told["no root"]
    assert all(told[name].startswith("404 ") and '"code":5' in told[name] for name in ("no version", "no job", "gone"))
    assert all(told[name].startswith("501 ") and '"code":12' in told[name] for name in ("not here", "no report"))


@pytest.mark.timeout(180)
def test_runs_recur_by_cron_and_interval_until_they_are_held(kfp: Client) -> None:
    told = kfp.program("kfp_recurring")
    assert (told["jobs"], told["ran"]) == (["by-cron", "by-interval"], [True, True])
    assert told["missed"] == [3, 1], "what lies between a start in the past and now is made up for, or its last alone"
    assert (told["held"], told["still"], told["goes on"]) == (["DISABLED", "* * * * * *", "1"], 0, True)
    assert told["states"] == [WELL] and "not found" in told["gone"]
    assert "trigger.cron_schedule.cron: '61 * * * * *'" in told["bad cron"]
    assert "write six, seconds first" in told["five fields"]


@pytest.mark.timeout(180)
def test_the_kubeflow_sdks_own_client_uploads_runs_waits_and_lists(kfp: Client) -> None:
    told = kfp.program("kfp_pipelines_client")
    assert told["versions"] == ["better", "client-sum"]
    assert told["ended"] == [WELL, WELL, FAILED]
    assert (told["listed"], told["well"]) == (["by-function", "by-name", "wrong"], ["by-function", "by-name"])
    assert (told["pipelines"], told["experiments"]) == (["client-sum"], ["client"])
    assert told["by objects"] == [WELL, WELL, True, WELL] and told["of the pipeline"] == 1
    assert (told["experiment"], told["left"]) == ("Of the other client", ["client-sum"])
    assert 'runtime_config.parameters.wanted: \\"many\\" is not a whole number' in told["missing"]
    assert "not found" in told["unknown"] and "not found" in told["gone"]


RESULTS = """
from kfp import dsl


@dsl.component(base_image="python:3.11")
def square(x: int, page: dsl.Output[dsl.Markdown]) -> int:
    print("squaring", x)
    assert x > 0, "too small"
    with open(page.path, "w") as file:
        file.write(f"# {x * x}")
    return x * x


@dsl.component(base_image="python:3.11")
def told(x: int, figures: dsl.Output[dsl.Metrics]) -> int:
    figures.log_metric("twice", 2 * x)
    return x


@dsl.pipeline(name="results")
def results(x: int) -> int:
    done = square(x=x)
    told(x=done.outputs["Output"])
    return done.outputs["Output"]
"""


def test_the_command_shows_values_and_prints_brings_what_was_made_and_deletes(kfp: Client, tmp_path: Path) -> None:
    (tmp_path / "results.py").write_text(RESULTS)
    ask, python = kfp.platform.run, str(kfp.bin / "python")
    told = ask("pipeline", "run", str(tmp_path / "results.py"), "-p", "x=3", "--python", python, "--name", "three")
    assert told.endswith("outputs\n  Output = 9\n"), told
    assert "inputs\n  x = 3\noutputs\n  Output = 9\n  page: s3://" in ask("pipeline", "show", "three", "square")
    assert "squaring 3" in ask("pipeline", "logs", "three")
    assert "squaring 3" in ask("pipeline", "logs", "three", "square", "-f")
    assert "there are square, " in ask("pipeline", "logs", "three", "sqare", check=False)
    assert "is over: SUCCEEDED" in ask("pipeline", "stop", "three", check=False)
    artifacts = json.loads(ask("pipeline", "artifacts", "three", "-o", "json"))
    (page,) = (one["artifact_id"] for one in artifacts if one["name"] == "page")
    ask("pipeline", "download", page, "--to", str(tmp_path / "page.md"))
    assert (tmp_path / "page.md").read_text() == "# 9"
    ask("pipeline", "run", str(tmp_path / "results.py"), "-p", "x=0", "--python", python, "--name", "no", check=False)
    assert "told\n(did not run: SKIPPED)" in ask("pipeline", "logs", "no")
    run_id = told.split()[1]
    assert "(three) is deleted" in ask("pipeline", "delete", run_id)
    assert "not found" in ask("pipeline", "delete", run_id, check=False)


REFUSED = {
    "cycle": "root.dag.tasks: the tasks wait for each other in a circle: add -> add-2 -> add",
    "component": "root.dag.tasks.add.componentRef.name: there is no component 'comp-nobody'",
    "executor": "components.comp-add.executorLabel: there is no executor 'exec-nobody'",
    "input": "root.dag.tasks.add-2.inputs.parameters.b: the component 'comp-add-2' needs it",
    "type": 'runtime_config.parameters.a: "many" is not a whole number',
    "missing": "runtime_config.parameters.a: the pipeline needs it",
    "unknown": "runtime_config.parameters.other: the pipeline has no such parameter (it has: a, text)",
    "oversized": "runtime_config.parameters.text: its value has 3000002 bytes",
    "traversal": "uploadfile: '../../pipeline.yaml' in the archive leads out of it",
    "bomb": "uploadfile: pipeline.yaml has more than 16777216 bytes",
    "no archive": "uploadfile: not a compiled pipeline",
    "not yaml": "uploadfile: not YAML",
    "namespace": "'s3://millstream/pipelines/another/secret.txt' belongs to another namespace than 'default'",
    "root": "runtime_config.pipeline_root: 's3://millstream/pipelines/another' is not below",
}


def test_bad_input_is_refused_with_its_field_before_anything_runs(kfp: Client) -> None:
    told = kfp.program("kfp_refused")
    wrong = {case: told[case] for case in REFUSED if not told[case].startswith("4")}
    other = {case: told[case] for case, message in REFUSED.items() if message not in told[case]}
    assert not wrong and not other
    assert (told["good zip"], told["good tar"], told["begun"]) == ("taken", "taken", 0)
