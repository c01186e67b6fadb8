"""MPIJob: a launcher that runs `mpirun` and the workers that it starts ranks on.

Source of the names: Training Operator 1.9, pkg/controller.v1/mpi; Open MPI's MCA parameters as variables.
"""

from collections.abc import Sequence

from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Replica, value

HOSTFILE = "/etc/mpi/hostfile"


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    if replica.role != "Launcher":
        return []
    return [value("OMPI_MCA_orte_default_hostfile", HOSTFILE)]


MPI = Family(
    kind="MPIJob",
    plural="mpijobs",
    specs="mpiReplicaSpecs",
    container="mpi",
    port_name="mpi-port",
    restart="Never",
    roles=("Launcher", "Worker"),
    leaders=("Launcher",),
    single=("Launcher",),
    required=("Launcher",),
    env=environment,
)
