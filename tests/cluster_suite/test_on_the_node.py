"""The suite run for real against the node service, which answers the same API as a control plane."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_suite.kubectl import Kubectl
from tests.cluster_suite.options import ROOT, options_of
from tests.cluster_suite.reach import reached
from tests.cluster_suite.report import Report
from tests.cluster_suite.uninstall import leftovers, uninstall
from tests.cluster_suite.waiting import explain
from tests.cluster_suite.world import World
from tests.e2e.flow import small_job
from tests.platform import Platform, started, until

STEPS = "preflight install api main-job kill"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with started(tmp_path_factory.mktemp("home")) as running:
        yield running


def environ(platform: Platform, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
    report = str(platform.home / "report.txt")
    told = {"KUBECONFIG": str(platform.home / "kubeconfig"), "OVERLAY": "laptop", "REPORT": report, "JOBS": "4"}
    return {**kept, **platform.env, **told, **more}


@pytest.mark.timeout(240)
def test_it_installs_uses_and_kills_the_platform_and_reports_what_it_saw(platform: Platform) -> None:
    command = [sys.executable, "-m", "tests.cluster_suite"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ(platform, STEPS=STEPS, KEEP="1"), text=True, capture_output=True, check=False
    )
    told = json.loads((platform.home / "report.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(row["step"], row["outcome"]) for row in told["rows"]] == [(step, "passed") for step in STEPS.split()]
    assert told["figures"]["main job: accuracy of the predictions"] >= 0.95
    assert any("no RBAC" in note for note in told["notes"]), "what could not be tried is said"
    [kill] = [row["words"] for row in told["rows"] if row["step"] == "kill"]
    assert kill.startswith("4 jobs ended once each") and "trainer" in kill and "nats" in kill


@pytest.mark.timeout(180)
def test_a_pod_that_cannot_start_is_explained_and_everything_applied_is_removed(platform: Platform) -> None:
    options = options_of(environ(platform, SUITE_NAMESPACE="suite-own"))
    kubectl = Kubectl(options.kubectl, options.kubeconfig)
    container = {"name": "x", "image": "python:3.11", "command": ["python", "-c", "raise SystemExit('no luck today')"]}
    labels = {"app": "unlucky"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    applied = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "suite-own"}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "unlucky", "namespace": "suite-own"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    ]
    kubectl.apply(applied)
    until(lambda: any("no luck today" in line for line in explain(kubectl, "suite-own")), 30, "the log is quoted")
    assert any("ended with 1" in line for line in explain(kubectl, "suite-own"))
    assert leftovers(kubectl, applied) == ["namespace/suite-own"]
    kubectl.apply([small_job("own", "own", seconds=60, namespace="suite-own")])
    with reached(kubectl, options) as ways:
        world = World(options, kubectl, Report(), print, ways=ways, applied=applied)
        assert uninstall(world) == "nothing is left"
        with world.client() as client:
            assert not client.list("trainjobs", "suite-own"), "the platform still has the suite's job"


def test_a_cluster_that_does_not_answer_is_said_to_be_so(tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": ""}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    told = {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "REPORT": str(tmp_path / "report.txt"),
        "STEPS": "preflight install",
    }
    command = [sys.executable, "-m", "tests.cluster_suite"]
    done = subprocess.run(command, cwd=ROOT, env={**kept, **told}, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "the cluster does not answer" in done.stdout and "preflight failed" in done.stdout
