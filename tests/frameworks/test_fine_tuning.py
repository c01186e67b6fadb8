"""A language model is fine-tuned with LoRA on two nodes by the unmodified Kubeflow SDK; peft reads what comes out.

There is no hub here, so a first job makes a small Llama and its tokenizer, in the environment of its image.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.clients.conftest import Client, environment
from tests.clients.readme import block
from tests.frameworks.conftest import PROGRAMS, Trainer, program
from tests.platform import Platform

ALONE = {"numNodes": 1, "image": "millstream/llm"}
STEP = re.compile(r"step (\d+)/(\d+) epoch [\d.]+ loss=([\d.]+)")


@pytest.fixture(scope="module")
def base(trainer: Trainer) -> str:
    """Where the small model (`model/`) and its dataset (`rows/`) are."""
    run = trainer.run("tiny", "python", ["python", "-c", program("tiny_llm")], **ALONE)
    assert run.ended == "Complete", f"{run.message}\n{run.logs}"
    return re.search(r"kept at (\S+)", run.logs["node-0"])[1]


@pytest.fixture(scope="module")
def kubeflow(platform: Platform) -> Client:
    (platform.home / "user").mkdir(exist_ok=True)
    return Client(environment("kubeflow"), platform)


SMALLER = {
    "BF16": "FP32",
    "epochs=1": "epochs=4",
    "lora_rank=8": "lora_rank=8, lora_alpha=128, apply_lora_to_mlp=True, apply_lora_to_output=True",
    '"cpu": 2, "memory": "8Gi"': '"cpu": 1, "memory": "3Gi"',
}
"""What the README says for a real model, as the small one needs it."""


def tune(kubeflow: Client, base: str) -> dict[str, Any]:
    """The README's lines, with the small model."""
    lines = block("python", "TorchTuneConfig")
    for said, meant in {
        **SMALLER,
        "s3://millstream/rows/": f"{base}rows/",
        "s3://millstream/base/": f"{base}model/",
    }.items():
        assert said in lines, said
        lines = lines.replace(said, meant)
    return kubeflow.program(str(PROGRAMS / "kubeflow_tune"), lines=lines)


@pytest.mark.timeout(600)
def test_the_sdks_built_in_trainer_fine_tunes_with_lora_on_two_nodes(
    trainer: Trainer, kubeflow: Client, base: str
) -> None:
    told = tune(kubeflow, base)
    assert told["status"] == "Complete", told["logs"]
    steps = [STEP.match(line) for line in told["logs"]["node-0"]]
    losses = [float(step[3]) for step in steps if step]
    assert len(losses) == 4 * 64 // (2 * 4)
    assert losses[-1] < 0.7 * losses[0], losses
    assert any("64 of 64 rows, 2 ranks" in line for line in told["logs"]["node-0"])
    job = trainer.client.get("trainjob", told["name"])
    figures = {one["name"]: float(one["value"]) for one in job["status"]["trainerStatus"]["metrics"]}
    assert job["status"]["trainerStatus"]["progressPercentage"] == 100
    assert figures["loss"] == pytest.approx(losses[-1], abs=1e-4)
    left = f"s3://millstream/models/default/{told['name']}/"
    run = trainer.run("proof", "python", ["python", "-c", program("tuned_llm"), base, left], **ALONE)
    assert run.ended == "Complete", f"{run.message}\n{run.logs}"
    loss = {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.]+)$", run.logs["node-0"], re.M)}
    assert loss["adapted"] < 0.8 * loss["base"]
    assert loss["merged"] == pytest.approx(loss["adapted"], abs=1e-3)
