"""MPI (OpenMPI 4 and 5): a launcher runs mpirun, nodes run an agent of ours where others would run sshd."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from services.trainer.domain import rendezvous, words
from services.trainer.domain.frameworks import (
    Layout,
    Role,
    Shape,
    bad_processes,
    container_port,
    unknown_keys,
    variable,
)
from services.trainer.domain.openmpi import AGENT, HOSTFILE, LAUNCHER, ROOT
from services.trainer.plugins.several import program

KEYS = ("numProcPerNode", "mpiImplementation", "sshAuthMountPath", "runLauncherAsNode")
ADDRESS = {"fieldRef": {"fieldPath": "status.podIP"}}


class Mpi:
    policy = "mpi"

    def shape(self, layout: Layout) -> Shape:
        """With `runLauncherAsNode` the launcher is one of the nodes; else it only starts them."""
        slots = layout.processes(max(1, layout.devices))
        leads = bool(layout.policy.get("runLauncherAsNode"))
        nodes = layout.num_nodes - 1 if leads else layout.num_nodes
        # mpirun knows its own host by the short name that the host has for itself.
        own = [layout.host(0, words.LAUNCHER).partition(".")[0]] if leads else []
        hosts = [*own, *(layout.host(index) for index in range(nodes))]
        env = (
            variable("MILLSTREAM_AGENT_PORT", layout.port),
            variable("MILLSTREAM_AGENT_ADDRESS", ADDRESS),
            *(variable(name, value) for name, value in ROOT.items()),
        )
        told = {**LAUNCHER, "OMPI_MCA_orte_set_default_slots": slots}
        port = (container_port("agent", layout.port),)
        launcher = Role(
            words.LAUNCHER,
            1,
            env=tuple(variable(name, value) for name, value in told.items()),
            before=("python3", AGENT, "run"),
        )
        node = Role(words.NODE, nodes, ports=port, command=("python3", AGENT, "serve"))
        files = {HOSTFILE: rendezvous.hostfile(hosts, slots), AGENT: program("agent")}
        return Shape(env=env, files=files, roles=(launcher, node), scratch=_home(layout.policy))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*unknown_keys(policy, KEYS), *bad_processes(policy), *_bad(policy)]


def _home(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the Kubeflow SDK writes a function's file: the home of the user whose ssh keys would be mounted."""
    path = policy.get("sshAuthMountPath")
    return (str(PurePosixPath(path).parent),) if path else ()


def _bad(policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    wrong = []
    if policy.get("mpiImplementation") not in (None, "OpenMPI"):
        wrong.append(("mpiImplementation", f"{policy['mpiImplementation']!r} is not supported; supported: OpenMPI"))
    path = policy.get("sshAuthMountPath")
    if path is not None and not (isinstance(path, str) and path.startswith("/") and path.count("/") > 1):
        wrong.append(("sshAuthMountPath", f"{path!r} must be a folder below an absolute path, like /home/mpiuser/.ssh"))
    if not isinstance(policy.get("runLauncherAsNode", False), bool):
        wrong.append(("runLauncherAsNode", f"{policy['runLauncherAsNode']!r} must be true or false"))
    return wrong
