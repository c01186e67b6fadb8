"""PodRuntime on processes of this machine, through the spawner; it must not assume that the spawner stays alive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from services.node.ports import (
    ContainerExited,
    ContainerSpec,
    ContainerStarted,
    ExecResult,
    HostAlias,
    PodSandbox,
    RuntimeEvent,
)
from services.node.runtime import control, hostsfile, logfile
from services.node.runtime.environments import Environments
from services.node.runtime.line import Line, Message, Refused, SpawnerGone
from services.node.runtime.paths import HomePaths
from services.node.runtime.recipes import recipe_of
from services.node.runtime.requests import request_for

CONNECT_S = 15.0


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """How the runtime behaves in one home.

    `node_command` is what the spawner runs when the node vanished (None: nobody is restarted). `ml` says when the fork
    server with torch is warmed: "first-use" is the first container whose image name promises torch; it ends after
    `ml_idle_s` without use. `mode` forces a kind of view ("mount", "user", "rewrite"); None probes. `preload` replaces
    the modules that a fork server ("platform", "ml") imports. `environments` is where those of images are kept, None
    keeps them in the home; `recipes` says what an image stands for, None takes deploy/images.
    """

    node_command: tuple[str, ...] | None = None
    warm_platform: bool = True
    ml: Literal["background", "first-use", "off"] = "first-use"
    ml_idle_s: float = 600.0
    mode: str | None = None
    preload: Mapping[str, Sequence[str]] = field(default_factory=dict)
    log_bytes_max: int = logfile.LOG_BYTES_MAX
    environments: Path | None = None
    recipes: Path | None = None

    def spawner_options(self) -> dict[str, Any]:
        preload = {name: list(modules) for name, modules in self.preload.items()}
        return {"mode": self.mode, "ml_idle_s": self.ml_idle_s, "preload": preload}


class LocalRuntime:
    """The PodRuntime of `services.node.ports`. Open it once per node; a spawner that dies is replaced by itself."""

    def __init__(self, home: str | Path, config: RuntimeConfig) -> None:
        self.paths = HomePaths(home, config.environments, config.recipes)
        self._environments = Environments(self.paths.environments)
        self._config = config
        self._line: Line | None = None
        self._ready = asyncio.Event()
        self._listeners: list[asyncio.Queue[RuntimeEvent]] = []
        self._ended: set[tuple[str, str, int]] = set()
        self._owns: dict[str, tuple[str, str]] = {}
        self._spawner: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.shutdown_ordered = asyncio.Event()
        self.info: Message = {}

    @classmethod
    async def open(cls, home: str | Path, config: RuntimeConfig | None = None) -> LocalRuntime:
        """Connected to the living spawner of `home`, or to a new one. Raises TimeoutError after 15 s."""
        runtime = cls(home, config or RuntimeConfig())
        runtime.paths.make()
        await runtime._connect()
        runtime._keeper = asyncio.create_task(runtime._keep_connected())
        return runtime

    async def close(self) -> None:
        """Leaves the spawner and all containers running: for a node that will be back."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._line is not None:
            await self._line.close()

    # the spawner

    async def _connect(self) -> None:
        self._line = await asyncio.wait_for(self._dial(), CONNECT_S)
        warm = ["platform"] if self._config.warm_platform else []
        warm += ["ml"] if self._config.ml == "background" else []
        try:
            self.info = await self._line.ask({"op": "hello", "command": self._command(), "warm": warm})
        except Refused:
            await self._line.close()  # so that whoever waits for its end tries again
            raise
        self._ready.set()

    def _command(self) -> Message | None:
        argv = self._config.node_command
        return {"argv": list(argv), "cwd": str(Path.cwd()), "env": dict(os.environ)} if argv else None

    async def _dial(self) -> Line:
        while True:
            with contextlib.suppress(OSError):
                return await Line.open(self.paths.socket, self._hear)
            if self._spawner is None or self._spawner.poll() is not None:
                self._spawner = control.start_spawner(self.paths, self._config.spawner_options(), self._command())
            await asyncio.sleep(0.01)

    async def _keep_connected(self) -> None:
        """Replaces a lost spawner, then tells of every end that nobody could tell."""
        while True:
            assert self._line is not None
            await self._line.gone.wait()
            self._ready.clear()
            if self.shutdown_ordered.is_set():
                return
            try:
                await self._connect()
                await self._tell_missed()
            except (TimeoutError, OSError, Refused) as error:
                print(f"no spawner for {self.paths.home}: {error!r}", file=sys.stderr)
                await asyncio.sleep(1)

    async def _tell_missed(self) -> None:
        for attempt in await self.adopt():
            if isinstance(attempt, ContainerExited):
                self._tell(attempt)

    async def _ask(self, message: Message) -> Message:
        """Asks again after a replaced spawner: every order is idempotent."""
        while True:
            await self._ready.wait()
            assert self._line is not None
            with contextlib.suppress(SpawnerGone):
                return await self._line.ask(message)
            self._ready.clear()
            if self.shutdown_ordered.is_set():
                raise SpawnerGone("the platform is shutting down")
            await asyncio.sleep(0)

    def _hear(self, message: Message) -> None:
        if message["event"] == "shutdown":
            self.shutdown_ordered.set()
            return
        self._tell(from_record(message["record"]))

    def _tell(self, event: RuntimeEvent) -> None:
        if isinstance(event, ContainerExited):
            key = (event.pod_uid, event.name, event.attempt)
            if key in self._ended:
                return
            self._ended.add(key)
        for queue in self._listeners:
            queue.put_nowait(event)

    # PodRuntime

    def lacks(self, image: str) -> str | None:
        recipe = recipe_of(image, self.paths.recipes)
        if recipe is None or self._environments.find(recipe) is not None:
            return None
        return f"image {image!r} is used for the first time: {len(recipe.install)} packages are being installed"

    async def pull(self, image: str) -> None:
        if (recipe := recipe_of(image, self.paths.recipes)) is not None:
            await self._environments.make(recipe)

    async def start_pod(self, sandbox: PodSandbox) -> None:
        self._owns[sandbox.uid] = (sandbox.ip, sandbox.hostname)
        pod = self.paths.pod(sandbox.uid)
        for name in ("volumes", "records", "logs"):
            (pod / name).mkdir(parents=True, exist_ok=True)
        self._write_hosts(sandbox.uid, sandbox.hosts)

    async def start_container(self, spec: ContainerSpec) -> None:
        hostname = self._own(spec.pod_uid)[1]
        ml = self._config.ml != "off"
        request = request_for(self.paths, spec, hostname=hostname, ml=ml, log_bytes_max=self._config.log_bytes_max)
        await self._ask({"op": "start", "request": request})

    def _own(self, pod_uid: str) -> tuple[str, str]:
        """The pod's address and hostname, also after a restart of the node."""
        if pod_uid not in self._owns:
            self._owns[pod_uid] = hostsfile.own(self.paths.hosts(pod_uid))
        return self._owns[pod_uid]

    async def signal(self, pod_uid: str, name: str, signal: int) -> None:
        await self._ask({"op": "signal", "pod": pod_uid, "name": name, "signal": int(signal)})

    async def kill_container(self, pod_uid: str, name: str, grace_s: float) -> None:
        await self._ask({"op": "kill", "pod": pod_uid, "name": name, "grace_s": grace_s})

    async def kill_pod(self, pod_uid: str, grace_s: float) -> None:
        await self._ask({"op": "kill", "pod": pod_uid, "name": None, "grace_s": grace_s})

    async def exec(self, pod_uid: str, name: str, argv: Sequence[str], timeout_s: float) -> ExecResult:
        order = {"op": "exec", "pod": pod_uid, "name": name, "argv": list(argv), "timeout_s": timeout_s}
        answer = await self._ask(order)
        return ExecResult(answer["exit_code"], answer["output"], answer["timed_out"])

    def events(self) -> AsyncIterator[RuntimeEvent]:
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._listeners.append(queue)
        return self._from(queue)

    async def _from(self, queue: asyncio.Queue[RuntimeEvent]) -> AsyncIterator[RuntimeEvent]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    async def adopt(self) -> Sequence[ContainerStarted | ContainerExited]:
        return [from_record(record) for record in (await self._ask({"op": "list"}))["records"] if _is_known(record)]

    async def remove_pod(self, pod_uid: str) -> None:
        await self.kill_pod(pod_uid, 0)
        await self._ask({"op": "forget", "pod": pod_uid})
        await asyncio.to_thread(shutil.rmtree, self.paths.pod(pod_uid), True)
        self._owns.pop(pod_uid, None)
        self._ended = {key for key in self._ended if key[0] != pod_uid}

    async def update_hosts(self, pod_uid: str, hosts: Sequence[HostAlias]) -> bool:
        if not self.paths.hosts(pod_uid).exists():  # not started yet: start_pod will write it
            return False
        self._write_hosts(pod_uid, hosts)
        return True

    def _write_hosts(self, pod_uid: str, hosts: Sequence[HostAlias]) -> None:
        text = hostsfile.text(self._own(pod_uid), ((alias.ip, alias.names) for alias in hosts))
        hostsfile.write(self.paths.hosts(pod_uid), text)

    def pod_path(self, pod_uid: str) -> Path:
        return self.paths.pod(pod_uid)

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        return self.paths.log(pod_uid, name, attempt)

    async def warm(self, zygote: str) -> str:
        """Waits until a fork server ("platform", "ml") is ready; returns "ready" or "failed"."""
        return str((await self._ask({"op": "warm", "zygote": zygote}))["state"])


def _is_known(record: Message) -> bool:
    return "exit_code" in record or "pid" in record


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def from_record(record: Message) -> RuntimeEvent:
    """A record of the spawner as the event it stands for."""
    key = (record["pod"], record["name"], record["attempt"])
    if "exit_code" not in record:
        return ContainerStarted(*key, pid=record["pid"], started_at=_time(record["started_at"]))
    return ContainerExited(
        *key,
        exit_code=record["exit_code"],
        signal=record["signal"],
        reason=record["reason"],
        message=record["message"],
        started_at=_time(record["started_at"]),
        finished_at=_time(record["finished_at"]),
    )
