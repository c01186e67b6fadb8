"""Kubeflow's OptimizerClient and Katib's own client search for the best arguments of a function, unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Client
from tests.clients.readme import block
from tests.clients.test_readme import shell


@pytest.mark.timeout(300)
def test_the_optimizer_client_finds_the_best_arguments_of_a_function(kubeflow: Client) -> None:
    told = kubeflow.program("optimizer")
    assert told["status"] == "Complete" and len(told["trials"]) == 3
    assert {trial["status"] for trial in told["trials"].values()} == {"Complete"}
    figures = {name: trial["metrics"][0] for name, trial in told["trials"].items()}
    best = max(figures, key=lambda name: float(figures[name]["max"]))
    assert told["best"]["parameters"] == told["trials"][best]["parameters"]
    assert told["best"]["metrics"] == [figures[best]]
    assert told["name"] in told["listed"]
    assert f"optimizer={told['best']['parameters']['optimizer']}" in told["logs"]
    assert [line.partition(" ")[0] for line in told["logs"][1:]] == ["epoch=0", "epoch=1", "epoch=2"]
    assert sorted(told["grid"]) == ["0.01", "0.05"], "a grid ends when it has been searched"
    assert told["left"] == []


@pytest.mark.timeout(300)
def test_katibs_client_tunes_raises_the_budget_and_reads_what_came_of_it(katib: Client) -> None:
    told = katib.program("katib_tune")
    assert told["trials"] == told["succeeded"] == told["suggested"] == len(told["listed"]) == 4
    assert told["best"] == told["assigned"]
    rate, layers = float(told["best"]["lr"]), int(told["best"]["layers"])
    assert told["metrics"]["accuracy"] == [str(1 - rate * layers)] * 3
    assert told["metrics"]["loss"] == [str(rate * layers)] * 3
    assert told["logs"][-1].endswith(f"opt={told['best']['opt']}")
    assert "tuned" in told["experiments"] and told["conditions"] == ["Created", "Succeeded"]
    assert told["after"] == 5, "more budget lets it go on"
    assert told["jobs"] == [], "deleting it leaves no Job"


@pytest.mark.timeout(240)
def test_the_readmes_experiment_runs_goes_on_and_goes(kubectl: Client, kubeflow: Client, tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(block("yaml", "# rates.yaml"))
    told = shell(kubectl, block("sh", "kubectl apply -f rates.yaml"), tmp_path)
    assert told.count("trial.kubeflow.org/rates-") == 6 and '"bestTrialName":"rates-' in told, told
    assert "rates patched" in told and '"rates" deleted' in told, told
    (tmp_path / "tune.py").write_text(block("python", "import OptimizerClient"))
    assert "Result(parameters={'lr': '0.0" in kubeflow.call("python", str(tmp_path / "tune.py"))
