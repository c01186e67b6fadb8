"""Every framework for real: two nodes that train one small model together, and the loss of both goes down."""

from __future__ import annotations

import pytest

from tests.frameworks.conftest import PATIENCE_S, Run, Trainer, program
from tests.platform import until

pytestmark = pytest.mark.timeout(PATIENCE_S)


def _learnt(run: Run, processes: int = 2) -> None:
    assert run.ended == "Complete", f"{run.message}\n{run.logs}"
    sizes, losses = {size for size, _ in run.losses}, [loss for _, loss in run.losses]
    assert sizes == {processes}, run.logs
    assert len(losses) >= 5 and losses[-1] < 0.5 * losses[0], losses


@pytest.mark.parametrize(
    ("runtime", "text"),
    [
        ("jax-distributed", "jax_sgd"),
        ("xgboost-distributed", "xgboost_rabit"),
        ("tensorflow-distributed", "tensorflow_mirrored"),
    ],
    ids=["jax", "xgboost", "tensorflow"],
)
def test_nodes_that_are_told_by_variables_train_one_model(trainer: Trainer, runtime: str, text: str) -> None:
    _learnt(trainer.run(runtime.partition("-")[0], runtime, ["python", "-c", program(text)]))


def test_torch_shares_the_weights_of_one_model_between_its_nodes(trainer: Trainer) -> None:
    script = f"cat > fsdp.py << 'EOM'\n{program('fsdp')}\nEOM\ntorchrun fsdp.py"
    _learnt(trainer.run("fsdp", "torch-distributed", ["bash", "-ec", script]))


def test_mpirun_starts_a_rank_on_the_launcher_and_on_the_other_node(trainer: Trainer) -> None:
    """With the command that the Kubeflow SDK sends."""
    command = ["mpirun", "--hostfile", "/etc/mpi/hostfile", "python", "-c", program("mpi_sgd")]
    run = trainer.run("mpi", "mpi-distributed", command)
    _learnt(run)
    assert "hosts mpi-launcher-0-0 mpi-node-0-0" in run.logs["launcher-0"]


def test_several_processes_on_every_node_take_part(trainer: Trainer) -> None:
    _learnt(trainer.run("jax-four", "jax-distributed", ["python", "-c", program("jax_sgd")], numProcPerNode=2), 4)


def test_deepspeed_trains_on_processors_with_gloo(trainer: Trainer) -> None:
    command = ["mpirun", "--hostfile", "/etc/mpi/hostfile", "python", "-c", program("deepspeed_sgd")]
    _learnt(trainer.run("deepspeed", "deepspeed-distributed", command))


def test_paddle_trains_on_processors_with_gloo(trainer: Trainer) -> None:
    script = f"cat > dp.py << 'EOM'\n{program('paddle_dp')}\nEOM\npython -m paddle.distributed.launch dp.py"
    _learnt(trainer.run("paddle", "paddle-distributed", ["bash", "-ec", script]))


def test_a_rank_that_fails_on_another_node_fails_the_job_and_leaves_no_pod_behind(trainer: Trainer) -> None:
    code = "from mpi4py import MPI; import sys; sys.exit('no data here' if MPI.COMM_WORLD.rank else 0)"
    run = trainer.run("mpi-bad", "mpi-distributed", ["mpirun", "python", "-c", code])
    assert run.ended == "Failed"
    assert "no data here" in run.message or "no data here" in run.logs["launcher-0"]

    def left() -> list[str]:
        pods = trainer.client.list("pods", selector="jobset.sigs.k8s.io/jobset-name=mpi-bad")
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    until(lambda: not left(), 60, "no pod is left")
