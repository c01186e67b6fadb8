"""JAXJob: what `jax.distributed.initialize` wants to know; worker 0 is the coordinator.

Source of the names: Training Operator 1.9, pkg/controller.v1/jax.
"""

from collections.abc import Sequence

from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Replica, value


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    first = crew.first("Worker")
    return [
        value("COORDINATOR_ADDRESS", first.host),
        value("COORDINATOR_PORT", first.port),
        value("NUM_PROCESSES", len(crew.replicas)),
        value("PROCESS_ID", crew.rank(replica)),
    ]


JAX = Family(
    kind="JAXJob",
    plural="jaxjobs",
    specs="jaxReplicaSpecs",
    container="jax",
    port_name="jaxjob-port",
    restart="OnFailure",
    roles=("Worker",),
    required=("Worker",),
    env=environment,
)
