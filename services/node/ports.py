"""What the node needs of whatever runs its containers; it must not assume that they are processes of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class HostAlias:
    """One line of a pod's /etc/hosts: an address and the names that resolve to it (first one canonical)."""

    ip: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodSandbox:
    """What all containers of a pod share. `hosts` holds every name that the pod may resolve, its own included."""

    uid: str
    namespace: str
    name: str
    ip: str
    hostname: str
    subdomain: str = ""
    hosts: tuple[HostAlias, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of this machine (`subPath` already joined on) shown to the container at `mount_path`.

    A missing `host_path` is created as a directory.
    """

    host_path: str
    mount_path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """None means unlimited. Above `memory_bytes` the container is killed with reason OOMKilled."""

    memory_bytes: int | None = None
    cpu_cores: float | None = None


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One start of one container; every reference, `$(VAR)` and defaulted field is already resolved by the caller.

    `argv` is command + args (never empty). `env` is the whole environment as the pod author sees it; the runtime adds
    PATH, HOME, HOSTNAME and its own MILLSTREAM_POD_UID / MILLSTREAM_HOME markers where they are absent.
    `cwd` None means the container's own scratch folder. `attempt` is the restart count and names the log file.
    `trusted` keeps the platform home visible: for the platform's own pods only.
    """

    pod_uid: str
    name: str
    attempt: int
    image: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    trusted: bool = False


ExitReason = Literal["Completed", "Error", "OOMKilled", "StartError", "ContainerStatusUnknown", "NodeShutdown"]


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """The container's own code is about to run as process `pid`."""

    pod_uid: str
    name: str
    attempt: int
    pid: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class ContainerExited:
    """The end of one attempt; said exactly once per runtime event stream, and again by `adopt` until `remove_pod`.

    `exit_code` follows the shell: 128 + signal for a killed process, which `signal` then names. StartError (128) means
    that nothing ran and `message` says why; ContainerStatusUnknown (137) that nobody was there to see the end;
    NodeShutdown that it was ended with the whole platform.
    """

    pod_uid: str
    name: str
    attempt: int
    exit_code: int
    signal: int | None
    reason: ExitReason
    message: str
    started_at: datetime
    finished_at: datetime


class PullFailed(Exception):
    """What an image stands for could not be had; the message ends with the installer's last words."""


RuntimeEvent = ContainerStarted | ContainerExited
RunningContainer = ContainerStarted
ExitRecord = ContainerExited


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Answer of a command run beside a container; `output` is stdout and stderr together, at most 64 KiB."""

    exit_code: int
    output: str
    timed_out: bool = False


class PodRuntime(Protocol):
    """Runs pods. All calls are idempotent, so a reconciler may repeat any of them after a crash."""

    def lacks(self, image: str) -> str | None:
        """What must be had before a container of `image` can start, in words; None when nothing is missing."""

    async def pull(self, image: str) -> None:
        """Gets it, once however many ask. Raises PullFailed."""

    async def start_pod(self, sandbox: PodSandbox) -> None:
        """Makes the pod's directories and hosts file. Must precede the first `start_container`."""

    async def start_container(self, spec: ContainerSpec) -> None:
        """Returns when the start is recorded on disk; ContainerStarted or ContainerExited(StartError) follows.

        The same (pod, name, attempt) twice is one start.
        """

    async def signal(self, pod_uid: str, name: str, signal: int) -> None:
        """Sends a signal to the container's first process; none there is no error."""

    async def kill_container(self, pod_uid: str, name: str, grace_s: float) -> None:
        """SIGTERM, then after `grace_s` SIGKILL to everything it started. Returns at once; the exit is an event."""

    async def kill_pod(self, pod_uid: str, grace_s: float) -> None:
        """`kill_container` for each container of the pod, and what they left behind. Returns at once."""

    async def exec(self, pod_uid: str, name: str, argv: Sequence[str], timeout_s: float) -> ExecResult:
        """Runs a command in a running container's view (mounts, environment): probes and lifecycle hooks.

        A container that is not running answers with exit code 126.
        """

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Everything that happens from the moment of the call on; several readers each get all of it."""

    async def adopt(self) -> Sequence[RunningContainer | ExitRecord]:
        """All attempts that the runtime knows of pods not yet removed: to be asked once after a start of the node."""

    async def remove_pod(self, pod_uid: str) -> None:
        """Ends what is left of the pod and deletes its directory, logs and records included."""

    async def update_hosts(self, pod_uid: str, hosts: Sequence[HostAlias]) -> bool:
        """Rewrites the pod's hosts file in place; running containers see it at their next look-up.

        False when the pod was not started yet, and then nothing is written.
        """

    def pod_path(self, pod_uid: str) -> Path:
        """The pod's directory. `volumes/` below it is the caller's (emptyDir, ConfigMap, Secret contents)."""

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        """The log of one attempt, in CRI lines: `<rfc3339nano> stdout|stderr F|P <text>` (P: line goes on in the next).

        Rotated by size to `<path>.1` (newest) … `<path>.3`; a follower reopens when the inode changes.
        """
