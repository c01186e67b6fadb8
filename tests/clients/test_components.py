"""The component library: on real data as functions, and as the README's pipeline from data to a promoted canary."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from millstream.client import Client as Sdk

from tests.clients.conftest import HERE, ROOT, environment
from tests.platform import Platform, run, until

SDK = str(ROOT / "sdk")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    given = json.dumps({"folder": str(tmp_path_factory.mktemp("data"))})
    env = {**os.environ, "PYTHONPATH": SDK, "PYTHONWARNINGS": "ignore"}
    command = [str(environment("components") / "python"), str(HERE / "programs" / "components_data.py"), given]
    return dict(json.loads(run(command, env, timeout_s=240).rsplit("RESULT ", 1)[1]))


@pytest.mark.timeout(300)
def test_the_compiled_components_are_those_of_the_functions(told: dict[str, Any]) -> None:
    """Else: PYTHONPATH=sdk .venvs/components/bin/python -m millstream.components"""
    assert told["compiled"] == [[], []] and told["page"]


def test_tables_are_read_in_all_their_forms_and_written_back(told: dict[str, Any]) -> None:
    read = told["reading"]
    assert (read["digits.csv"], read["digits.bin"], read["few"]) == ([1797, 65], [1797, 65], [5, 2])
    assert read["back"]
    assert "uri 'ftp://x/y' must begin with" in read["unknown"]


def test_a_split_keeps_the_shares_and_is_the_same_again(told: dict[str, Any]) -> None:
    assert told["checking"]["shares"] == [[44, 53, 36], [15, 18, 12]]
    assert told["checking"]["same"]


def test_good_rows_pass_their_schema_and_bad_ones_are_told_one_by_one(told: dict[str, Any]) -> None:
    found, checked = "\n".join(told["checking"]["problems"]), told["checking"]
    assert checked["good"] and checked["page"]
    assert checked["mean"] == pytest.approx(13.0006, abs=1e-3)
    for sentence in (
        "there are 45 rows, at least 100 are wanted",
        "alcohol: 2.2% are empty, at most 0.0% may be",
        "alcohol: 1 values lie beyond max",
        "hue: is missing",
        "label: has type string, int64 is wanted",
    ):
        assert sentence in found
    assert checked["stopped"].startswith("ValueError: the data is not valid: alcohol")


def test_the_best_of_the_candidates_is_chosen_and_right_about_unseen_rows(told: dict[str, Any]) -> None:
    trained = told["training"]
    chosen, score = trained["best"]
    assert chosen and score > 0.9
    for kind in ("sklearn", "xgboost"):
        assert trained[kind]["accuracy"] > 0.93 and trained[kind]["auc"] > 0.97
        assert trained[kind]["shown"] == ["confidenceMetrics", "confusionMatrix"]
    assert trained["regression"]["r2"] > 0.3


def test_predictions_are_as_good_as_the_figures_say(told: dict[str, Any]) -> None:
    trained = told["training"]
    assert (trained["rows"], trained["columns"]) == (113, ["label", "prediction", "p_0", "p_1"])
    assert trained["hits"] == pytest.approx(trained["xgboost"]["accuracy"])


def test_what_cannot_be_trained_is_refused_by_its_name(told: dict[str, Any]) -> None:
    assert "estimator 'os.system'" in told["training"]["refused"]
    assert "column 'price' is not in the table" in told["training"]["missing"]


def test_a_model_behind_a_transformer_takes_texts_and_gaps(told: dict[str, Any]) -> None:
    made = told["features"]
    assert {"sex_f", "sex_m"} <= set(made["columns"]) and made["same"] and made["gaps"] == 0
    assert made["r2"] > 0.3


def test_a_moved_column_is_found_and_chance_is_not(told: dict[str, Any]) -> None:
    assert told["drift"] == {"still": [False, []], "moved": [True, ["alcohol"]]}


POOR = [
    "the file is empty",
    "it holds zero bytes",
    "column 'a' is not UTF-8",
    "more than one column is called 'a'",
    "Expected 2 columns, got 3",
    "read as gzip",
    "read as Parquet",
    "column 'price' is not in the table, which has: a, label",
    "uri 'http://127.0.0.1:1/data.csv' cannot be read",
    "scikit-learn has none of this name",
    "it predicts nothing",
    "parameters of RandomForestClassifier: ",
    "candidate: estimatr means nothing here",
    "give the transformer of tabular_features",
    "column 'label' is empty in 1 of 2 rows",
    "column 'label' is empty in 1 of 2 rows",
    "objective 'reg:squarederror': it takes numbers, and column 'b' holds string",
    "are wanted, not 'a'",
    "schema.columns.a: words such as",
    "schema.columns.a.min: 'x' is not compared with values of type double",
    "there is no model",
    "this is no scikit-learn model that can be read here",
    "column 'price' is not in the table",
    "positive 'yes': the classes are 0, 1",
    "there is no transformer; tabular_features makes one",
    "space.x: min 3 is more than max 1",
    "space.x.min: 1.5 is not whole",
    "space.x: ['a', 1] mixes kinds",
    "space.x: 'say \"a\"' cannot be tried",
    "space.x.type: 'float' is neither int nor double",
    "space: 'x-y' is no name of a parameter",
    "space: name at least one parameter",
    "SVC has no parameter deepness; it has C, ",
    "C: in space and in parameters",
    "column 'price' is not in the table",
    "direction 'up': say maximize or minimize",
    "trials can only reach s3://",
    "folds 1: 0 for none, or at least 2",
    "rounds 0: at least one tree",
    "parameters: XGBoost does not use 'max_dept' here: did you mean 'max_depth'?",
    "program: it is empty",
]


def test_poor_data_and_what_is_not_there_are_told_in_words(told: dict[str, Any]) -> None:
    pairs = zip(POOR, told["poor"], strict=True)
    assert [(wanted, message) for wanted, message in pairs if wanted not in message] == []


WHOAMI = """
import json, urllib.request
token = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()
body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
url = "http://gateway.millstream-system.svc.cluster.local:8080/apis/authentication.k8s.io/v1/selfsubjectreviews"
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
answer = urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers))
print(json.load(answer)["status"]["userInfo"]["username"])
"""


def test_a_pod_proves_itself_at_the_gateway_with_its_accounts_token(platform: Platform) -> None:
    """As `ask` of the components does it."""
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", WHOAMI]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "whoami"}, "spec": spec}
    with Sdk.from_home(Path(platform.home)) as client:
        client.apply(pod)
        until(lambda: client.get("pods", "whoami")["status"].get("phase") in ("Succeeded", "Failed"), 60, "it ends")
        printed = list(client.logs("whoami"))
        client.delete("pods", "whoami")
    assert printed == ["system:serviceaccount:default:default"]


@pytest.mark.timeout(420)
def test_the_readme_pipeline_ends_with_a_promoted_canary(platform: Platform) -> None:
    """Twice, by the unmodified kfp: the second run's model is a canary beside the first and takes its place."""
    program = str(ROOT / "examples" / "pipelines" / "digits.py")
    env = {**os.environ, "PYTHONPATH": SDK, "PYTHONWARNINGS": "ignore", "HOME": str(platform.home / "user")}
    command = [str(environment("kfp") / "python"), program, platform.http]
    revisions = []
    with Sdk.from_home(Path(platform.home)) as client:
        for more in ([], ["seed=8"]):
            printed = run([*command, *more], env, timeout_s=200)
            assert "SUCCEEDED  promote-model" in printed and "SUCCEEDED  pick-best" in printed, printed
            part = client.get("inferenceservices", "digits-pipeline")["status"]["components"]["predictor"]
            assert [one["percent"] for one in part["traffic"]] == [100]
            revisions.append(part["latestReadyRevision"])
        said = client.request("GET", "/api/model_registry/v1/registered_models").json()["items"]
        client.delete("inferenceservices", "digits-pipeline")
    assert revisions[0] != revisions[1]
    assert "digits-pipeline" in [one["name"] for one in said]


SLOW = "import time; print('score=1', flush=True); time.sleep(600)"
MADE = ("experiments", "trainjobs.trainer.kubeflow.org")
"""What steps make that wait for it."""
TUNED = f"""
import kfp, sys
from kfp import dsl
from millstream import components as c
@dsl.pipeline(name="slow")
def slow():
    rows = c.sample_data(name="iris").output
    c.tune(train=rows, program={SLOW!r}, space={{"x": [1, 2]}}, max_trials=1)
    c.train_torch(train=rows, program={SLOW!r})
print(kfp.Client(host=sys.argv[1]).create_run_from_pipeline_func(slow).run_id)
"""


@pytest.mark.timeout(420)
def test_an_experiment_of_a_pipeline_finds_parameters(platform: Platform) -> None:
    env = {**os.environ, "PYTHONPATH": SDK, "PYTHONWARNINGS": "ignore", "HOME": str(platform.home / "user")}
    python, program = str(environment("kfp") / "python"), ROOT / "examples" / "pipelines" / "tuned.py"
    printed = run([python, str(program), platform.http, "max_trials=3"], env, timeout_s=300)
    assert "SUCCEEDED  evaluate" in printed, printed
    told = next(line.split()[1] for line in printed.splitlines() if line.startswith("SUCCEEDED "))
    with Sdk.from_home(Path(platform.home)) as client:
        tasks = {one["name"]: one for one in client.request("GET", f"/pipelines/v1/runs/{told}/tasks").json()["tasks"]}
        gave = tasks["tune"]["outputs"]["parameters"]
        assert set(gave["best_parameters"]) == {"gamma", "C", "kernel"}
        assert tasks["train-sklearn"]["inputs"]["parameters"]["parameters"] == gave["best_parameters"]
        [page] = tasks["tune"]["outputs"]["artifacts"]["report"]
        shown = client.request("GET", f"/pipelines/v1/artifacts/{page['id']}/view").json()["text"]
        assert shown.count("<circle") == 3 and f'class="best"><td>{gave["best_trial"]}<' in shown
        around = client.request("GET", f"/pipelines/v1/artifacts/{page['id']}/lineage").json()
        [made] = around["jobs"]
        assert (made["kind"], made["best_trial"], made["task_id"]) == (
            "Experiment",
            gave["best_trial"],
            tasks["tune"]["uid"],
        )
        client.delete("experiments", client.list("experiments")[0]["metadata"]["name"])


@pytest.mark.timeout(300)
def test_what_a_step_made_outlives_its_pod_and_not_its_run(platform: Platform) -> None:
    """Whoever drains a node ends pods; whoever stops a run wants nothing of it any more."""
    env = {**os.environ, "PYTHONPATH": SDK, "PYTHONWARNINGS": "ignore", "HOME": str(platform.home / "user")}
    id = run([str(environment("kfp") / "python"), "-c", TUNED, platform.http], env).split()[-1]
    with Sdk.from_home(Path(platform.home)) as client:

        def made() -> set[str]:
            """Each by its uid."""
            mine = f"millstream.dev/run={id}"
            return {one["metadata"]["uid"] for kind in MADE for one in client.list(kind, selector=mine)}

        def printed(attempt: int, words: str) -> bool:
            about = f"pipeline/runid={id},millstream.dev/attempt={attempt}"
            found = [one for one in client.list("pods", selector=about) if one["status"].get("phase") == "Running"]
            pods = [one["metadata"]["name"] for one in found]
            return len([name for name in pods if words in "\n".join(client.logs(name))]) == 2

        until(lambda: len(made()) == 2, 90, "both have begun")
        before = made()
        for pod in client.list("pods", selector=f"pipeline/runid={id}"):
            client.delete("pods", pod["metadata"]["name"])
        until(lambda: printed(2, " goes on"), 60, "other pods have taken them up")
        assert made() == before
        client.request("POST", f"/apis/v2beta1/runs/{id}:terminate")
        until(lambda: not made(), 60, "what the stopped run made is gone")
