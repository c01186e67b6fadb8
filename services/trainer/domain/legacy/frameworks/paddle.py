"""PaddleJob: `paddle.distributed.launch` reads its options from PADDLE_*; with a master in parameter server mode.

Source of the names: Training Operator 1.9, pkg/controller.v1/paddlepaddle; paddle.distributed.launch.
"""

from collections.abc import Sequence

from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Replica, value


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    """The first replica is the rendezvous and names itself by its address: only so the launcher knows that it is."""
    first = crew.first("Master", "Worker")
    env = [value("PADDLE_JOB_ID", crew.job["metadata"]["name"])]
    env.append(value("PADDLE_NNODES", len(crew.replicas)))
    if replica == first:
        env.append({"name": "POD_IP_DUMMY", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    env.append(value("PADDLE_MASTER", f"$(POD_IP_DUMMY):{first.port}" if replica == first else first.address))
    if not crew.of("Master"):
        return env
    return [*env, value("PADDLE_SERVER_NUM" if replica.role == "Master" else "PADDLE_TRAINER_NUM", 1)]


PADDLE = Family(
    kind="PaddleJob",
    plural="paddlejobs",
    specs="paddleReplicaSpecs",
    container="paddle",
    port_name="master",
    restart="OnFailure",
    roles=("Master", "Worker"),
    leaders=("Master",),
    env=environment,
)
