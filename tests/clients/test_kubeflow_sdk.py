"""The Kubeflow SDK's TrainerClient finds runtimes, trains a function on two nodes, follows and ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.blobs import Endpoint, S3Blobs
from tests.clients.conftest import Client
from tests.clients.readme import block


@pytest.mark.timeout(300)
def test_the_readmes_function_trains_on_two_nodes_and_its_logs_are_followed(kubeflow: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(block("python", "import CustomTrainer"))
    told = kubeflow.program("kubeflow_train", snippet=str(tmp_path / "train.py"))
    assert "torch-distributed" in told["runtimes"]
    assert told["status"] == "Complete"
    assert told["nodes"] == 2
    lines = [line for step in told["logs"].values() for line in step]
    assert any("rank 0 of 2" in line for line in lines), told["logs"]
    assert any("rank 1 of 2" in line for line in lines), told["logs"]
    assert any("rank 0 of 2" in line for line in told["followed"])
    assert told["listed"]
    assert told["events"], "the SDK shows no events of the job"
    assert told["gone"], "the job is still there after delete_job"


@pytest.mark.timeout(180)
def test_a_job_that_fails_says_why(kubeflow: Client) -> None:
    told = kubeflow.program("kubeflow_fail")
    assert told["waited"] == f"TrainJob {told['name']} is Failed"
    assert told["status"] == "Failed"
    assert any("FileNotFoundError: no data at /nowhere" in line for line in told["logs"]), told["logs"]
    assert any("no data at /nowhere" in message for message in told["events"]), told["events"]


@pytest.mark.timeout(300)
def test_all_that_a_job_can_be_asked_for_is_done_and_its_history_outlives_its_pods(kubeflow: Client) -> None:
    env = kubeflow.platform.env
    store = Endpoint(env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    asyncio.run(_put(store, "whole/words.txt", b"words of the dataset"))
    given = {"uri": "s3://millstream/whole", "endpoint": store.url, "access_key": store.access_key}
    site = next((kubeflow.bin.parent / "lib").glob("python*/site-packages"))
    more = {"secret_key": store.secret_key, "folder": str(kubeflow.bin.parent), "site": str(site)}
    told = kubeflow.program("kubeflow_whole", **given, **more)
    function, container = told["before"][told["function"]], told["before"][told["container"]]
    assert any("hello from a package rank 1" in line for line in function["node-1"]), function
    assert any("reported True" in line for line in function["node-0"]), function
    assert told["reported"]["metrics"] == [{"name": "loss", "value": "0.25"}]
    assert container["node-0"][-2:] == ["words of the dataset", "patched by-hand"], container
    assert told["after"] == told["before"], "the logs are others once the pods are gone"
    assert told["followed"] == function["node-0"]
    assert set(told["statuses"].values()) == {"Complete"} and told["steps"] == ["Succeeded", "Succeeded"]
    assert {"TrainJob", "Pod"} <= set(told["events"])
    assert told["seen"][-1] == "Complete"
    assert (told["labels"]["team"], told["note"], told["deadline"]) == ("blue", "kept", 120)
    assert {told["function"], told["container"]} <= set(told["listed"])
    assert "Python: 3.11" in told["packages"]


async def _put(store: Endpoint, key: str, data: bytes) -> None:
    blobs = S3Blobs(store, "millstream")
    await blobs.put(key, data)
    blobs.close()


SPOT = """
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: spot}
spec:
  nodeLabels: {kubernetes.io/os: linux}
  nodeTaints: [{key: spot, value: "true", effect: NoSchedule}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: spot}
spec:
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [cpu, memory]
    flavors:
    - name: spot
      resources: [{name: cpu, nominalQuota: 4}, {name: memory, nominalQuota: 8Gi}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: spot, namespace: default}
spec: {clusterQueue: spot}
"""


@pytest.mark.timeout(300)
def test_each_role_gets_its_patches_and_only_who_tolerates_spot_machines_takes_them(
    kubeflow: Client, kubectl: Client
) -> None:
    env = kubeflow.platform.env
    store = Endpoint(env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    for name in ("words.txt", "old.bin"):
        asyncio.run(_put(store, f"patched/{name}", b"words"))
    kubectl.call("kubectl", "apply", "-f", "-", stdin=SPOT)
    given = {"uri": "s3://millstream/patched", "endpoint": store.url, "access_key": store.access_key}
    told = kubeflow.program("kubeflow_patches", **given, secret_key=store.secret_key, queue="spot")
    launcher = told["roles"]["launcher"]
    assert launcher["who"] == "launcher" and "/keys" in launcher["mounts"]
    assert launcher["limits"] == {"cpu": "0.5", "memory": "256Mi"}
    assert launcher["selector"] == {"kubernetes.io/os": "linux"} and launcher["annotations"]["team"] == "blue"
    assert launcher["fetches"] == ["*.bin"] and "/notes" in launcher["notes"]
    node = told["roles"]["node"]
    assert (node["who"], node["tolerations"], node["selector"]) == ("node", ["spot"], None)
    assert "/keys" not in node["mounts"] and node["fetches"] == ["*.bin"]
    assert "WORD sesame" in told["said"] and "sesame" in told["said"], told
    assert "words.txt" in told["said"] and "old.bin" not in told["said"]
    bold = told["bold"]["node"]
    assert bold["tolerations"] == ["spot"] and bold["selector"] == {"kubernetes.io/os": "linux"}
    assert told["timid"]["state"] == "Queued" and "spot" in told["timid"]["reason"], told["timid"]
    assert told["timid_pods"] == {}
    kubectl.call("kubectl", "delete", "localqueue,clusterqueue,resourceflavor", "spot", check=False)
