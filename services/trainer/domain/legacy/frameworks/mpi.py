"""MPIJob: a launcher that runs `mpirun`, and workers whose program is the agent that mpirun starts ranks through.

Upstream's launcher has a key to the API and runs commands in the workers' pods with it; here no user's pod gets one.
Source of the names: Training Operator 1.9, pkg/controller.v1/mpi.
"""

from collections.abc import Mapping, Sequence

from services.trainer.domain import openmpi
from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Replica, value
from services.trainer.domain.rendezvous import hostfile

TOKEN = "token"


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    env = {
        **openmpi.ROOT,
        "MILLSTREAM_AGENT_PORT": str(replica.port),
        "MILLSTREAM_AGENT_TOKEN": f"{openmpi.FOLDER}/{TOKEN}",
    }
    if replica.role == "Launcher":
        env |= {**openmpi.LAUNCHER, "OMPI_MCA_orte_set_default_slots": str(_slots(crew))}
    address = {"name": "MILLSTREAM_AGENT_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return [*(value(name, content) for name, content in env.items()), address]


def files(crew: Crew) -> Mapping[str, str]:
    return {"hostfile": hostfile([worker.host for worker in crew.of("Worker")], _slots(crew))}


def _slots(crew: Crew) -> int:
    return int(crew.job["spec"].get("slotsPerWorker") or 1)


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
    files=files,
    folder=openmpi.FOLDER,
    commands={"Worker": ("python3", openmpi.AGENT, "serve")},
)
