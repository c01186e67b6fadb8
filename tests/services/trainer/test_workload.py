"""What runs for a job: the objects that are created, as clients of pods and torchrun look for them."""

import json
from copy import deepcopy
from typing import Any

from contracts.kinds.quantity import amount
from services.trainer.domain import workload
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.digest import code_digest
from services.trainer.domain.frameworks import framework_for
from services.trainer.domain.merge import merged
from services.trainer.plugins import FRAMEWORKS
from tests.services.trainer.builders import RUNTIME, SITE, job, runtime


def _child(trainjob: dict[str, Any], base: dict[str, Any] = RUNTIME) -> dict[str, Any]:
    plan = blueprint(trainjob, base)
    return workload.child_job(trainjob, plan, framework_for(plan.policy, FRAMEWORKS), SITE, ticket=42)


def _node(child: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in child["spec"]["template"]["spec"]["containers"] if c["name"] == "node")


def _env(child: dict[str, Any]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in _node(child)["env"]}


def test_two_nodes_are_an_indexed_job_whose_pods_the_sdk_finds():
    child = _child(job())
    spec, labels = child["spec"], child["spec"]["template"]["metadata"]["labels"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert child["metadata"]["name"] == "digits-node-0"
    assert spec["template"]["spec"]["subdomain"] == "digits"
    assert labels["jobset.sigs.k8s.io/jobset-name"] == "digits"
    assert labels["jobset.sigs.k8s.io/replicatedjob-name"] == "node"
    assert "ownerReferences" not in child["metadata"]


def test_a_lost_pod_is_made_again_although_a_failed_one_ends_the_job():
    spec = _child(job())["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]


def test_torchrun_gets_its_rendezvous_from_the_environment():
    env = _env(_child(job()))
    assert (env["PET_NNODES"], env["PET_NPROC_PER_NODE"], env["OMP_NUM_THREADS"]) == ("2", "1", "1")
    assert (env["PET_MASTER_ADDR"], env["PET_MASTER_PORT"]) == ("digits-node-0-0.digits", "20042")
    assert "job-completion-index" in env["PET_NODE_RANK"]["fieldRef"]["fieldPath"]


def test_every_node_knows_where_its_jobs_checkpoints_are_and_how_often_all_began_again():
    env = _env(_child(job(status={"restarts": 2})))
    assert env["MILLSTREAM_CHECKPOINT_URI"] == "s3://millstream/checkpoints/team/digits-0b6f6f7e/"
    assert env["MILLSTREAM_RESTART"] == "2"


def test_a_node_runs_one_process_per_core_unless_the_job_says_how_many():
    four = {"resourcesPerNode": {"limits": {"cpu": 4.0}}}
    assert _env(_child(job(spec={"trainer": four})))["PET_NPROC_PER_NODE"] == "4"
    env = _env(_child(job(spec={"trainer": {**four, "numProcPerNode": 2}})))
    assert (env["PET_NPROC_PER_NODE"], env["OMP_NUM_THREADS"]) == ("2", "2")


def test_accelerators_decide_before_cores():
    trainer = {"resourcesPerNode": {"limits": {"cpu": 8, "nvidia.com/gpu": 2}}}
    assert _env(_child(job(spec={"trainer": trainer})))["PET_NPROC_PER_NODE"] == "2"


def test_a_runtime_without_torch_gets_no_torch_environment():
    plain = deepcopy(RUNTIME)
    plain["spec"]["mlPolicy"] = {"numNodes": 3}
    child = _child(job(spec={"trainer": {"numNodes": None}}), plain)
    assert child["spec"]["completions"] == 3
    assert not [name for name in _env(child) if name.startswith("PET_")]


def test_nothing_runs_without_limits_and_limits_always_name_a_device():
    assert _node(_child(job()))["resources"] == {
        "limits": {"cpu": "1", "memory": "2Gi"},
        "requests": {"memory": "512Mi"},
    }
    memory = {"resourcesPerNode": {"limits": {"memory": "1Gi"}}}
    assert _node(_child(job(spec={"trainer": memory})))["resources"]["limits"] == {"memory": "1Gi", "cpu": "1"}


def test_quantities_sent_as_numbers_reach_the_pod_as_text():
    trainer = {"resourcesPerNode": {"limits": {"cpu": 1.0, "memory": "1Gi"}, "requests": {"cpu": 0.5}}}
    resources = _node(_child(job(spec={"trainer": trainer})))["resources"]
    assert resources == {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0.5"}}


def test_the_jobs_words_win_over_the_runtimes_and_the_frameworks_over_both():
    base = runtime(env=[{"name": "A", "value": "runtime"}, {"name": "B", "value": "runtime"}], command=["sleep"])
    mine = [{"name": "A", "value": "job"}, {"name": "OMP_NUM_THREADS", "value": "9"}]
    child = _child(job(spec={"trainer": {"env": mine, "image": "my:1"}}), base)
    env = _env(child)
    assert (env["A"], env["B"], env["OMP_NUM_THREADS"]) == ("job", "runtime", "1")
    assert (_node(child)["image"], _node(child)["command"]) == ("my:1", ["bash", "-c", "torchrun t.py"])


def test_a_runtime_patch_changes_this_jobs_pods_alone():
    pod = {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "node", "env": [{"name": "X", "value": "y"}]}]}}
    jobs = [{"name": "node", "template": {"spec": {"template": pod}}}]
    patch = {"manager": "me", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}
    before = deepcopy(RUNTIME)
    child = _child(job(spec={"runtimePatches": [patch]}))
    assert child["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}
    assert _env(child)["X"] == "y"
    assert _node(child)["image"] == "pytorch/pytorch:2.7"
    assert before == RUNTIME


def test_the_job_can_report_progress_with_its_own_token():
    env = _env(_child(job()))
    assert env["KUBEFLOW_TRAINER_SERVER_URL"] == "http://trainer/training/v1/team/trainjobs/digits/status"
    mounts = {m["mountPath"] for m in _node(_child(job()))["volumeMounts"]}
    assert env["KUBEFLOW_TRAINER_SERVER_TOKEN"].rpartition("/")[0] in mounts
    assert workload.secret(job(), "t", SITE)["stringData"]["token"] == "t"


def test_keys_of_the_object_store_are_not_written_into_pods():
    child = _child(job(spec={"initializer": {"model": {"storageUri": "s3://b/m"}}}))
    assert "hidden" not in json.dumps(child)
    reference = _env(child)["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]
    assert workload.secret(job(), "t", SITE)["stringData"][reference["key"]] == "hidden"
    assert _env(child)["AWS_ENDPOINT_URL"] == "http://s3"


def test_a_dataset_is_downloaded_before_each_node_starts():
    spec = {"initializer": {"dataset": {"storageUri": "s3://b/d", "env": [{"name": "ENDPOINT", "value": "http://x"}]}}}
    pod = _child(job(spec=spec))["spec"]["template"]["spec"]
    assert [c["name"] for c in pod["initContainers"]] == ["dataset-initializer"]
    assert pod["initContainers"][0]["args"] == ["s3://b/d", "/workspace/dataset", "dataset"]
    assert {"name": "workspace", "emptyDir": {}} in pod["volumes"]
    assert "/workspace" in {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}


def test_a_claim_is_mounted_read_only_where_its_copy_is_made():
    child = _child(
        job(spec={"initializer": {"model": {"storageUri": "pvc://models/llama", "env": [{"name": "A", "value": "b"}]}}})
    )
    pod = child["spec"]["template"]["spec"]
    claim = {"name": "model-source", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    assert claim in pod["volumes"]
    [download] = pod["initContainers"]
    assert {"name": "model-source", "mountPath": "/source/model", "readOnly": True} in download["volumeMounts"]
    assert {"name": "SOURCE_FOLDER", "value": "/source/model"} in download["env"]
    assert "model-source" not in {m["name"] for m in pod["containers"][0]["volumeMounts"]}


def test_what_a_node_asks_of_the_scheduler_is_its_requests_and_else_its_limits():
    trainer = {"resourcesPerNode": {"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": "500m"}}}
    asks = blueprint(job(spec={"trainer": trainer}), RUNTIME).asks
    assert {name: amount(value) for name, value in asks.items()} == {"cpu": amount("0.5"), "memory": amount("1Gi")}


def test_the_code_digest_tells_code_from_circumstances():
    base = blueprint(job(), RUNTIME).node
    elsewhere = blueprint(job(spec={"trainer": {"env": [{"name": "A", "value": "1"}]}}), RUNTIME).node
    other = blueprint(job(spec={"trainer": {"command": ["python"]}}), RUNTIME).node
    assert code_digest(base) == code_digest(elsewhere) != code_digest(other)


def test_a_patch_of_an_initializer_reaches_what_the_job_fetches_and_a_runtimes_keys_do_not():
    def role(**container: Any) -> dict[str, Any]:
        spec = {"containers": [{"name": "i", **container}], "volumes": [{"name": "v", "emptyDir": {}}]}
        return {"name": "model-initializer", "template": {"spec": {"template": {"spec": spec}}}}

    runtime = merged(RUNTIME, {"spec": {"template": {"spec": {"replicatedJobs": [role(env=[KEY, NAMED])]}}}})
    mount = {"name": "v", "mountPath": "/v"}
    jobs = [role(env=[{"name": "TRIES", "value": "9"}], volumeMounts=[mount])]
    patch = {"manager": "me", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}
    own = job(spec={"runtimePatches": [patch], "initializer": {"model": {"storageUri": "http://mine/m"}}})
    named = blueprint(own, runtime).initializer["model"]
    default = blueprint(job(spec={"runtimePatches": [patch]}), runtime)
    assert [entry["name"] for entry in named["env"]] == ["TRIES"] and named["volumeMounts"] == [mount]
    told = default.initializer["model"]
    assert told["storageUri"] == "hf://a/b" and [entry["name"] for entry in told["env"]] == ["ACCESS_TOKEN", "TRIES"]


KEY = {"name": "ACCESS_TOKEN", "value": "the runtime's"}
NAMED = {"name": "STORAGE_URI", "value": "hf://a/b"}
