"""What a BuiltinTrainer of the Kubeflow SDK becomes on the shipped runtimes: program, model, dataset."""

from __future__ import annotations

from typing import Any

import pytest

from services.trainer.adapters.shipped import shipped
from services.trainer.domain import workload
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.frameworks import framework_for
from services.trainer.domain.runtime_rules import runtime_causes
from services.trainer.plugins import FRAMEWORKS
from tests.services.trainer.builders import SITE, job

TUNE = {runtime["metadata"]["name"]: runtime for runtime in shipped() if "torchtune" in runtime["metadata"]["name"]}
BUILT_IN = {"command": ["tune", "run"], "args": ["batch_size=4", "dtype=fp32"]}


def pod(runtime: str, **spec: Any) -> dict[str, Any]:
    wanted = job(spec=spec)
    plan = blueprint(wanted, TUNE[runtime])
    child = workload.child_job(wanted, plan, framework_for(plan.policy, FRAMEWORKS), SITE, 1)
    return dict(child["spec"]["template"]["spec"])


def arguments(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container.get("env") or []}


@pytest.mark.parametrize("name", TUNE)
def test_every_shipped_runtime_is_one_that_may_be_stored(name: str) -> None:
    assert runtime_causes(TUNE[name], FRAMEWORKS) == []
    assert TUNE[name]["metadata"]["labels"]["trainer.kubeflow.org/framework"] == "torchtune"


def test_tune_run_means_the_runtimes_own_program_with_the_jobs_words_last() -> None:
    [node] = pod("torchtune-llama3.2-1b", trainer=BUILT_IN)["containers"]
    assert node["command"] == ["torchrun", "-m", "millstream.tune"]
    assert node["args"][0] == "checkpointer.checkpoint_dir=/workspace/model"
    assert node["args"][-2:] == ["batch_size=4", "dtype=fp32"]
    assert arguments(node)["PET_NPROC_PER_NODE"] == "1"


def test_any_other_command_is_run_as_it_is() -> None:
    [node] = pod("torchtune-llama3.2-1b", trainer={"command": ["python", "mine.py"]})["containers"]
    assert node["command"] == ["python", "mine.py"]


def test_accelerators_get_a_process_each() -> None:
    asked = {**BUILT_IN, "resourcesPerNode": {"limits": {"nvidia.com/gpu": 4, "memory": "8Gi"}}}
    [node] = pod("torchtune-qwen2.5-1.5b", trainer=asked)["containers"]
    assert arguments(node)["PET_NPROC_PER_NODE"] == "4"


def test_the_runtimes_model_and_dataset_are_fetched_unless_the_job_names_others() -> None:
    own = pod("torchtune-qwen2.5-1.5b", trainer=BUILT_IN)
    assert [c["args"][0] for c in own["initContainers"]] == [
        "hf://tatsu-lab/alpaca/data",
        "hf://Qwen/Qwen2.5-1.5B-Instruct",
    ]
    named = {"dataset": {"storageUri": "s3://b/rows"}, "model": {"env": [{"name": "ACCESS_TOKEN", "value": "t"}]}}
    dataset, model = pod("torchtune-qwen2.5-1.5b", trainer=BUILT_IN, initializer=named)["initContainers"]
    assert dataset["args"][0] == "s3://b/rows"
    assert model["args"][0] == "hf://Qwen/Qwen2.5-1.5B-Instruct"
    assert arguments(model)["ACCESS_TOKEN"] == "t"
    assert arguments(model)["IGNORE_PATTERNS"].startswith("*.msgpack")


def test_the_helper_reads_what_another_source_brought_from_its_folder() -> None:
    [node] = pod("torchtune-llama3.2-1b", trainer=BUILT_IN)["containers"]
    assert arguments(node)["MILLSTREAM_DATASET_URI"] == "file:///workspace/dataset"
    [node] = pod("torchtune-llama3.2-1b", initializer={"dataset": {"storageUri": "s3://b/d"}})["containers"]
    assert arguments(node)["MILLSTREAM_DATASET_URI"] == "s3://b/d"


def test_images_come_from_where_the_place_of_installation_says() -> None:
    [named] = [r for r in shipped("registry/{}:1".format) if r["metadata"]["name"] == "torchtune-llama3.2-1b"]
    node = blueprint(job(), named).node
    assert node["image"] == "registry/llm:1"
