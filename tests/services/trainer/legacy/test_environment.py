"""What each kind's programs are told: the variables of the Training Operator, per role and index."""

import json
from itertools import pairwise
from typing import Any

import pytest

from contracts.events.scheduling.v1 import Assignment, Domain
from services.trainer.domain.legacy.crew import crew, port_for
from services.trainer.domain.legacy.frameworks import BY_KIND
from services.trainer.domain.legacy.pods import pod, service
from tests.services.trainer.legacy.builders import PORT, Object, env, job, pods

TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, str]]] = [
    (
        "PyTorchJob", {"Master": 1, "Worker": 2}, {"nprocPerNode": "2"}, "worker-1",
        {
            "MASTER_ADDR": "digits-master-0", "MASTER_PORT": str(PORT), "RANK": "2", "WORLD_SIZE": "6",
            "PET_MASTER_ADDR": "digits-master-0", "PET_NODE_RANK": "2", "PET_NNODES": "3", "PET_NPROC_PER_NODE": "2",
        },
    ),
    ("PyTorchJob", {"Master": 1}, {}, "master-0", {"RANK": "0", "WORLD_SIZE": "1", "PET_NPROC_PER_NODE": "1"}),
    (
        "PyTorchJob", {"Worker": 3}, {"elasticPolicy": {"minReplicas": 2, "maxReplicas": 4, "maxRestarts": 5}},
        "worker-2",
        {
            "PET_RDZV_ENDPOINT": f"digits-worker-0:{PORT}", "PET_RDZV_BACKEND": "c10d", "PET_NNODES": "2:4",
            "PET_MAX_RESTARTS": "5",
        },
    ),
    (
        "XGBoostJob", {"Master": 1, "Worker": 2}, {}, "worker-0",
        {
            "MASTER_ADDR": "digits-master-0", "MASTER_PORT": str(PORT), "RANK": "1", "WORLD_SIZE": "3",
            "WORKER_PORT": str(PORT), "WORKER_ADDRS": "digits-worker-0,digits-worker-1",
        },
    ),
    (
        "JAXJob", {"Worker": 2}, {}, "worker-1",
        {
            "COORDINATOR_ADDRESS": "digits-worker-0", "COORDINATOR_PORT": str(PORT), "NUM_PROCESSES": "2",
            "PROCESS_ID": "1",
        },
    ),
    (
        "PaddleJob", {"Worker": 2}, {}, "worker-1",
        {"PADDLE_MASTER": f"digits-worker-0:{PORT}", "PADDLE_NNODES": "2", "PADDLE_JOB_ID": "digits"},
    ),
    (
        "PaddleJob", {"Master": 1, "Worker": 1}, {}, "master-0",
        {"PADDLE_MASTER": f"$(POD_IP_DUMMY):{PORT}", "PADDLE_SERVER_NUM": "1"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "roles", "spec", "replica", "wanted"), TABLE, ids=lambda v: str(v)[:24])
def test_every_replica_learns_its_place(
    kind: str, roles: dict[str, Any], spec: dict[str, Any], replica: str, wanted: dict[str, str]
) -> None:
    told = env(job(kind, roles, spec=spec), replica)
    assert {name: told.get(name) for name in wanted} == wanted


def test_a_tfjob_is_told_its_whole_cluster_each_task_at_a_port_of_its_own() -> None:
    told = json.loads(env(job("TFJob", {"Worker": 2, "Chief": 1, "PS": 1, "Evaluator": 1}), "evaluator-0")["TF_CONFIG"])
    assert told["task"] == {"type": "evaluator", "index": 0}
    assert told["cluster"] == {
        "chief": [f"digits-chief-0.team.svc:{PORT}"],
        "worker": [f"digits-worker-0.team.svc:{PORT + 1}", f"digits-worker-1.team.svc:{PORT + 2}"],
        "ps": [f"digits-ps-0.team.svc:{PORT + 3}"],
    }


def test_a_dynamic_worker_knows_itself_and_the_servers_alone() -> None:
    dynamic = job("TFJob", {"Worker": 3, "PS": 1}, spec={"enableDynamicWorker": True})
    told = json.loads(env(dynamic, "worker-1")["TF_CONFIG"])
    assert told["sparseCluster"] == {
        "worker": {"1": f"digits-worker-1.team.svc:{PORT + 1}"},
        "ps": [f"digits-ps-0.team.svc:{PORT + 3}"],
    }


def test_a_tfjob_of_one_replica_is_a_local_program() -> None:
    assert "TF_CONFIG" not in env(job("TFJob", {"Worker": 1}), "worker-0")


def test_processes_per_node_are_those_of_the_pod_not_of_the_machine() -> None:
    owner = job(roles={"Master": 1}, spec={"nprocPerNode": "auto"})
    [container] = owner["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    container["resources"] = {"limits": {"cpu": "3500m"}}
    assert env(owner, "master-0")["PET_NPROC_PER_NODE"] == "3"
    container["resources"] = {"limits": {"cpu": "8", "nvidia.com/gpu": 2}}
    assert env(owner, "master-0")["PET_NPROC_PER_NODE"] == "2"


def test_a_wrong_rank_in_the_template_does_not_win_and_the_users_own_variables_do() -> None:
    owner = job(roles={"Master": 1})
    [container] = owner["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "RANK", "value": "9"}, {"name": "PYTHONUNBUFFERED", "value": "0"}]
    told = env(owner, "master-0")
    assert (told["RANK"], told["PYTHONUNBUFFERED"]) == ("0", "0")


def test_pods_bear_upstreams_names_and_labels_and_the_first_worker_leads_where_there_is_no_master() -> None:
    found = pods(job("JAXJob", {"Worker": 2}), {"worker-0": "Running", "worker-1": "Running"})
    assert [one["metadata"]["name"] for one in found] == ["digits-worker-0", "digits-worker-1"]
    first, second = (one["metadata"]["labels"] for one in found)
    assert first["training.kubeflow.org/job-role"] == "master"
    assert "training.kubeflow.org/job-role" not in second
    assert {key: second[f"training.kubeflow.org/{key}"] for key in _LABELS} == _LABELS


_LABELS = {
    "job-name": "digits",
    "operator-name": "jaxjob-controller",
    "replica-index": "1",
    "replica-type": "worker",
}


@pytest.mark.parametrize(
    ("policy", "pods_policy"),
    [("ExitCode", "Never"), ("Never", "Never"), ("OnFailure", "OnFailure"), ("Always", "Always")],
)
def test_the_kubelet_is_told_a_policy_that_it_knows(policy: str, pods_policy: str) -> None:
    owner = job(roles={"Master": {"replicas": 1, "restartPolicy": policy}})
    assert pods(owner, {"master-0": "Running"})[0]["spec"]["restartPolicy"] == pods_policy


def test_a_port_that_the_template_names_is_everybodys() -> None:
    owner, family = job(roles={"Master": 1, "Worker": 1}), BY_KIND["PyTorchJob"]
    [container] = owner["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    container["ports"] = [{"name": "pytorchjob-port", "containerPort": 23456}]
    people = crew(owner, family, PORT)
    assert people.first("Master").port == 23456
    assert service(people, family, people.first("Master"))["spec"]["ports"][0]["port"] == 23456


def test_jobs_one_after_another_get_ports_apart() -> None:
    family, owner = BY_KIND["TFJob"], job("TFJob", {"Worker": 3, "PS": 2})
    blocks = [set(range(port_for(owner, family, t), port_for(owner, family, t) + 5)) for t in range(2000)]
    assert all(not one & other for one, other in pairwise(blocks))
    assert min(map(min, blocks)) >= 10000 and max(map(max, blocks)) < 20000


def test_a_pod_is_sent_where_the_scheduler_wants_it_and_each_rank_to_its_own_domain() -> None:
    owner, family = job("JAXJob", {"Worker": 2}), BY_KIND["JAXJob"]
    given = Assignment(
        name="worker",
        count=2,
        node_selector={"kind": "spot"},
        tolerations=[{"key": "spot", "operator": "Exists"}],
        topology_levels=["rack"],
        topology=[Domain(values=["a"], count=1), Domain(values=["b"], count=1)],
    )
    people = crew(owner, family, PORT)
    made: list[Object] = [pod(people, family, one, given, restricted=False) for one in people.replicas]
    assert [one["spec"]["nodeSelector"] for one in made] == [
        {"kind": "spot", "rack": "a"},
        {"kind": "spot", "rack": "b"},
    ]
    assert all(one["spec"]["tolerations"] == [{"key": "spot", "operator": "Exists"}] for one in made)
    assert not any(one["spec"].get("schedulingGates") for one in made)
