"""XGBoostJob: where the tracker is and who one is; LightGBM's list of workers beside it.

Source of the names: Training Operator 1.9, pkg/controller.v1/xgboost.
"""

from collections.abc import Sequence

from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Replica, value


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    master, workers = crew.first("Master"), crew.of("Worker")
    env = [value("MASTER_ADDR", master.host), value("MASTER_PORT", master.port)]
    env += [value("WORLD_SIZE", len(crew.replicas)), value("RANK", crew.rank(replica))]
    if not workers:
        return env
    addresses = ",".join(worker.host for worker in workers)
    return [*env, value("WORKER_PORT", workers[0].port), value("WORKER_ADDRS", addresses)]


XGBOOST = Family(
    kind="XGBoostJob",
    plural="xgboostjobs",
    specs="xgbReplicaSpecs",
    container="xgboost",
    port_name="xgboostjob-port",
    restart="Never",
    roles=("Master", "Worker"),
    leaders=("Master",),
    single=("Master",),
    required=("Master",),
    env=environment,
)
