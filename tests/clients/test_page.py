"""The page of runs in a real browser: a person finds a run, its picture, why it failed and what it printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from millstream.client import Client as Sdk
from millstream.pipelines import runs

from tests.clients.browser import chromium
from tests.clients.conftest import Client, environment
from tests.clients.test_kfp import RESULTS
from tests.platform import until

FAILED, WELL, ELSEWHERE, LOOPED = "page-no", "page-three", "page-elsewhere", "page-many"
LOOP = """
from kfp import dsl
from results import told


@dsl.pipeline(name="many")
def many():
    with dsl.ParallelFor(list(range(36))) as item:
        told(x=1)
"""


@pytest.fixture
def browser(kfp: Client) -> tuple[Client, str]:
    found = chromium()
    return Client(environment("browser"), kfp.platform), found


@pytest.mark.timeout(180)
def test_a_person_finds_a_run_its_picture_why_it_failed_and_its_log(
    browser: tuple[Client, str], kfp: Client, tmp_path: Path
) -> None:
    file, (client, found) = tmp_path / "results.py", browser
    file.write_text(RESULTS)
    (tmp_path / "many.py").write_text(LOOP)
    python = str(kfp.bin / "python")
    ran = kfp.platform.run("pipeline", "run", str(file), "-p", "x=3", "--python", python, "--name", WELL)
    kfp.platform.run("pipeline", "run", str(tmp_path / "many.py"), "--python", python, "--name", LOOPED)
    with Sdk.from_home(kfp.platform.home) as sdk:
        spec = sdk.request("GET", f"/apis/v2beta1/runs/{ran.split()[1]}").json()["pipeline_spec"]
        runs.submit(sdk, ELSEWHERE, spec, {"x": 1}, runs.experiment(sdk, "Default", "elsewhere"))
        failed = runs.submit(sdk, FAILED, spec, {"x": 0}, runs.experiment(sdk, "Default", "default"))["run_id"]
        until(lambda: runs.get(sdk, failed)["state"] == "FAILED", 60, "the run has failed")
    told = client.program(
        "page_of_runs",
        chromium=found,
        url=kfp.platform.http,
        failed=FAILED,
        other="elsewhere",
        elsewhere=ELSEWHERE,
        looped=LOOPED,
    )
    assert told["title"] == "Runs" and {"default", "elsewhere"} <= set(told["namespaces"])
    assert (told["runs"][WELL], told["runs"][FAILED]) == ("SUCCEEDED", "FAILED") and ELSEWHERE not in told["runs"]
    assert told["heading"] == f"{FAILED} FAILED" and told["picture"], "the picture is not shown"
    assert told["step"][:2] == ["square", "FAILED"] and told["step"][3] == "x = 0"
    assert "AssertionError: too small" in told["step"][5]
    assert told["phone"] == 390, "a narrow window has to be scrolled sideways"
    assert told["folded"] == [2, "false"], "a large loop is not folded"
    assert told["opened"] == [2 + 36, "for-loop-2 (36)"], "the keyboard does not open it, or loses its place"
    assert told["values"][3:5] == ["x = 1", "Output = 1\ntwice = 2"], "an iteration of one step is not its line"
    assert told["dark"] != "rgb(251, 253, 252)"
    assert "squaring 0" in told["log"]
    assert told["there"] == [ELSEWHERE] and "?namespace=elsewhere" in told["address"]
    assert "run 'nothing' not found" in told["gone"]
    assert [each for each in told["complaints"] if "404" not in each] == [], "the browser refused something"
