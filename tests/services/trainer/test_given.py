"""Runtimes that a place of installation brings along are stored beside the shipped ones, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from contracts.kinds.trainjob import read_error
from contracts.kinds.upstream import upstream
from libs.service.app import Given
from libs.service.shell import serve
from services.trainer.adapters.given import BadRuntime, given
from services.trainer.adapters.shipped import shipped
from services.trainer.app import TrainerSettings, build
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.workload import child_job
from services.trainer.plugins.torch import Torch
from tests.services.trainer.builders import SITE, job
from tests.services.trainer.paper import PaperCluster
from tests.services.trainer.test_service import API, until

GPU = Path(__file__).resolve().parents[3] / "deploy/components/gpu"
FILE = "torch-distributed-gpu.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder as a ConfigMap mounts it: the file, and nothing of kustomize's."""
    folder = tmp_path / "runtimes"
    folder.mkdir()
    (folder / FILE).write_text((GPU / FILE).read_text())
    return folder


async def test_the_runtime_of_the_gpu_component_is_stored_and_the_sdk_reads_it(tmp_path: Path, folder: Path) -> None:
    url = f"sqlite:///{tmp_path}/trainer.db"
    settings = TrainerSettings(service="trainer", insecure=True, store_url=url, runtimes_folder=str(folder))
    async with serve(build(), settings, Given(cluster=PaperCluster())) as service:
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trainer") as http:
            names = {made["metadata"]["name"] for made in shipped()}

            async def listed() -> list[dict]:
                found: list[dict] = (await http.get(f"{API}/clustertrainingruntimes")).json()["items"]
                return found

            async def complete() -> bool:
                return len(await listed()) > len(names)

            await until(complete)
            by_name = {runtime["metadata"]["name"]: runtime for runtime in await listed()}
    assert by_name.keys() == {*names, "torch-distributed-gpu"}
    model = upstream(
        "kubeflow_trainer_api",
        "trainer_v1alpha1_cluster_training_runtime",
        "TrainerV1alpha1ClusterTrainingRuntime",
    )
    assert read_error(model, by_name["torch-distributed-gpu"]) is None


def test_its_jobs_get_a_gpu_a_process_for_it_and_nodes_that_are_kept_for_gpus(folder: Path) -> None:
    [runtime] = given(str(folder), [Torch()])
    trainjob = job(spec={"trainer": {"numNodes": 1}})
    pod = child_job(trainjob, blueprint(trainjob, runtime), Torch(), SITE, 0)["spec"]["template"]["spec"]
    [node] = pod["containers"]
    assert node["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "PET_NPROC_PER_NODE", "value": "1"} in node["env"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in node["volumeMounts"]


def test_a_job_that_asks_for_four_gpus_runs_four_processes(folder: Path) -> None:
    [runtime] = given(str(folder), [Torch()])
    asked = {"limits": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": 4}}
    trainjob = job(spec={"trainer": {"numNodes": 1, "resourcesPerNode": asked}})
    [node] = child_job(trainjob, blueprint(trainjob, runtime), Torch(), SITE, 0)["spec"]["template"]["spec"][
        "containers"
    ]
    assert node["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert {"name": "PET_NPROC_PER_NODE", "value": "4"} in node["env"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("trainer.kubeflow.org/framework: torch", "app: torch", "metadata.labels"),
        ("kind: ClusterTrainingRuntime", "kind: ConfigMap", "expected a ClusterTrainingRuntime"),
        ("  name: torch-distributed-gpu\n", "", "with a name"),
        ("spec:\n  mlPolicy:", "spec: [", "torch-distributed-gpu.yaml"),
    ],
    ids=["no framework", "another kind", "no name", "no YAML"],
)
def test_a_file_that_is_no_runtime_stops_the_trainer_and_is_named(folder: Path, old: str, new: str, words: str) -> None:
    text = (folder / FILE).read_text()
    assert old in text
    (folder / FILE).write_text(text.replace(old, new, 1))
    with pytest.raises(BadRuntime, match=FILE) as refused:
        given(str(folder), [Torch()])
    assert words in str(refused.value)


def test_without_a_folder_there_are_none() -> None:
    assert given("", [Torch()]) == []
