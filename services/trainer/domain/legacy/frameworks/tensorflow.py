"""TFJob: TF_CONFIG, TensorFlow's own description of a cluster. The evaluator stands beside the training cluster.

Source: tf.distribute.cluster_resolver.TFConfigClusterResolver; Training Operator 1.9, pkg/controller.v1/tensorflow.
"""

import json
from collections.abc import Sequence
from typing import Any

from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Job, Replica, Tallies, value
from services.trainer.domain.rendezvous import tf_config


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    """A job of one replica is a local program and is told of no cluster."""
    if len(crew.replicas) < 2:
        return []
    return [value("TF_CONFIG", _config(crew, replica))]


def _config(crew: Crew, replica: Replica) -> str:
    role = replica.role.lower()
    if crew.job["spec"].get("enableDynamicWorker"):
        task = {"type": role, "index": replica.index}
        return json.dumps({"sparseCluster": _sparse(crew, replica), "task": task})
    return tf_config(_cluster(crew), role, replica.index, environment="cloud")


def _cluster(crew: Crew) -> dict[str, list[str]]:
    found = {role.lower(): [_address(crew, replica) for replica in crew.of(role)] for role in TENSORFLOW.roles}
    return {role: addresses for role, addresses in found.items() if addresses and role != "evaluator"}


def _sparse(crew: Crew, replica: Replica) -> dict[str, Any]:
    """What this replica needs and no more, so that workers may come and go: itself and, for a worker, the servers."""
    if replica.role == "PS":
        return {"worker": {}, "ps": [_address(crew, replica)]}
    servers = [_address(crew, server) for server in crew.of("PS")] if replica.role == "Worker" else []
    own = {str(replica.index): _address(crew, replica)} if replica.role == "Worker" else {}
    return {"worker": own, "ps": servers}


def _address(crew: Crew, replica: Replica) -> str:
    return f"{replica.host}.{crew.job['metadata']['namespace']}.svc:{replica.port}"


def _done(job: Job, tallies: Tallies) -> bool:
    """Without a chief the first worker is one, unless all workers are asked for."""
    worker = tallies.get("Worker")
    if worker is None:
        return all(tally.succeeded >= tally.wanted for tally in tallies.values())
    every = worker.succeeded >= worker.wanted
    return every or (worker.first_done and job["spec"].get("successPolicy") != "AllWorkers")


TENSORFLOW = Family(
    kind="TFJob",
    plural="tfjobs",
    specs="tfReplicaSpecs",
    container="tensorflow",
    port_name="tfjob-port",
    restart="Never",
    roles=("Chief", "Master", "Worker", "PS", "Evaluator"),
    leaders=("Chief", "Master"),
    single=("Chief", "Master"),
    env=environment,
    done=_done,
    ports_apart=True,
    defaults={"successPolicy": ""},
)
