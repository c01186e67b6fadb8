"""Every framework on the suite, and what is each one's own."""

import json

from services.trainer.domain import rendezvous
from services.trainer.domain.frameworks import Layout
from services.trainer.domain.workload import checkpoint_uri
from services.trainer.plugins.jax import Jax
from services.trainer.plugins.mpi import HOSTFILE, Mpi
from services.trainer.plugins.paddle import Paddle
from services.trainer.plugins.plain import Plain
from services.trainer.plugins.tensorflow import TensorFlow
from services.trainer.plugins.torch import Torch
from services.trainer.plugins.xgboost import XGBoost
from tests.services.trainer.builders import SITE, job
from tests.services.trainer.framework_suite import FrameworkSuite

WRONG_COUNT = {".numProcPerNode": {"numProcPerNode": 0}}


class TestTorch(FrameworkSuite):
    framework, runtime = Torch(), "torch-distributed"
    bad_policies = {
        **WRONG_COUNT,
        "": [],
        ".elasticPolicy.minNodes": {"elasticPolicy": {"minNodes": 4, "maxNodes": 2}},
        ".elasticPolicy.maxRestarts": {"elasticPolicy": {"maxRestarts": -1}},
    }


class TestJax(FrameworkSuite):
    framework, runtime, bad_policies = Jax(), "jax-distributed", WRONG_COUNT

    def test_every_process_knows_the_first_node_and_its_own_number(self):
        env = self.env(self.made()[0])
        assert env["JAX_COORDINATOR_ADDRESS"] == "digits-node-0-0.digits:20007"
        assert (env["JAX_NUM_PROCESSES"], env["JAX_DISTRIBUTED_BACKEND"]) == ("2", "gloo")
        assert "job-completion-index" in env["JAX_PROCESS_ID"]["fieldRef"]["fieldPath"]

    def test_several_processes_on_a_node_are_started_by_a_program_of_ours(self):
        (child,) = self.made(numProcPerNode=3)
        assert self.env(child)["JAX_NUM_PROCESSES"] == "6"
        started = ["python3", "/etc/millstream/processes.py", "3", "JAX_PROCESS_ID", "--", "sh", "-c", "train"]
        assert self.node(child)["command"] == started


class TestXGBoost(FrameworkSuite):
    framework, runtime, bad_policies = XGBoost(), "xgboost-distributed", WRONG_COUNT

    def test_workers_find_the_tracker(self):
        env = self.env(self.made(3)[0])
        assert (env["DMLC_TRACKER_URI"], env["DMLC_NUM_WORKER"]) == ("digits-node-0-0.digits", "3")


class TestTensorFlow(FrameworkSuite):
    framework, runtime, bad_policies = TensorFlow(), "tensorflow-distributed", WRONG_COUNT

    def test_tf_config_names_all_workers_and_the_readers_own_number(self):
        names = [entry["name"] for entry in self.node(self.made()[0])["env"]]
        assert names.index("JOB_COMPLETION_INDEX") < names.index("TF_CONFIG"), "Kubernetes expands what came before"
        told = json.loads(self.env(self.made()[0])["TF_CONFIG"].replace("$(JOB_COMPLETION_INDEX)", "1"))
        workers = ["digits-node-0-0.digits:11248", "digits-node-0-1.digits:11249"]
        assert told == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}


class TestPaddle(FrameworkSuite):
    framework, runtime, bad_policies = Paddle(), "paddle-distributed", WRONG_COUNT


class TestMpi(FrameworkSuite):
    framework, runtime = Mpi(), "mpi-distributed"
    bad_policies = {
        **WRONG_COUNT,
        ".mpiImplementation": {"mpiImplementation": "Intel"},
        ".sshAuthMountPath": {"sshAuthMountPath": "ssh"},
        ".runLauncherAsNode": {"runLauncherAsNode": "yes"},
    }

    def test_the_launcher_is_the_first_node_and_its_pods_bear_the_names_that_the_sdk_looks_for(self):
        launcher, node = self.made(3)
        roles = [c["metadata"]["labels"]["jobset.sigs.k8s.io/replicatedjob-name"] for c in (launcher, node)]
        assert roles == ["launcher", "node"] and node["spec"]["completions"] == 2
        hosts = self.framework.shape(self.layout(3)).files[HOSTFILE]
        assert hosts == "j-launcher-0-0 slots=1\nj-node-0-0.j slots=1\nj-node-0-1.j slots=1\n"

    def test_a_launcher_of_its_own_starts_all_nodes_and_is_none(self):
        shape = self.framework.shape(self.layout(2, {}))
        assert [(role.name, role.count) for role in shape.roles] == [("launcher", 1), ("node", 2)]
        assert shape.files[HOSTFILE] == "j-node-0-0.j slots=1\nj-node-0-1.j slots=1\n"

    def layout(self, nodes, policy=None):
        own = {"runLauncherAsNode": True} if policy is None else policy
        return Layout("j", "j", nodes, 1.0, 0, None, 20007, policy=own)

    def test_one_node_needs_no_others(self):
        (launcher,) = self.made(1)
        assert launcher["metadata"]["name"] == "digits-launcher-0"


class TestPlain(FrameworkSuite):
    framework, runtime, bad_policies = Plain(), "python", {}

    def test_two_jobs_that_run_at_one_time_meet_at_different_ports(self):
        assert not self.ports(self.made()[0]), "it has nobody to meet"

    def test_the_number_of_processes_changes_what_the_nodes_are_told(self):
        assert self.env(self.made(numProcPerNode=2)[0])["MILLSTREAM_NUM_PROC_PER_NODE"] == "2"


def test_checkpoints_belong_to_one_job_even_if_another_has_its_name():
    other = job(metadata={"uid": "ffffffff-0000-4000-8000-000000000001"})
    assert checkpoint_uri(job(), SITE.bucket) != checkpoint_uri(other, SITE.bucket)


def test_tf_config_serves_other_clusters_too():
    told = json.loads(rendezvous.tf_config({"ps": ["a:1"], "chief": ["b:1"]}, "ps", 0, environment="cloud"))
    assert told["task"] == {"type": "ps", "index": 0} and told["environment"] == "cloud"
