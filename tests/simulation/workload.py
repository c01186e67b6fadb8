"""What people and other systems ask of the platform during a run, and what they were told; all drawn from the seed."""

import asyncio
import base64
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from contracts.commands.training.v1 import ApplyTrainJob, DeleteTrainJob
from contracts.letters import letter_for, subject_for
from libs.base.ids import SeededIds
from libs.bus import BusError
from libs.testing.bus import MemoryBus
from libs.testing.cluster import labels_of
from tests.simulation.world import Lost, World

SPACE = "team"
JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{SPACE}/trainjobs"
SERVICES = f"/apis/serving.kserve.io/v1beta1/namespaces/{SPACE}/inferenceservices"
REPORTS = f"/training/v1/namespaces/{SPACE}/trainjobs"
DEFAULT_QUEUE = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/default"
PRIORITY = "millstream.dev/priority"
NAME, UID = "jobset.sigs.k8s.io/jobset-name", "millstream.dev/trainjob-uid"
HEADERS = {"content-type": "application/cloudevents+json; charset=utf-8"}
PATIENCE_S = 30.0


@dataclass
class Told:
    """What the platform said to those who asked: promises that must hold at the end."""

    accepted: dict[str, str] = field(default_factory=dict)
    """By uid, the name of each job that was created with a 201."""
    commands: dict[str, str] = field(default_factory=dict)
    """By the id of its letter, the name of the job that each command on the bus is about."""
    surprises: list[str] = field(default_factory=list)
    """Answers over HTTP that nobody should get."""


class Workload:
    """Jobs by HTTP and by the bus, some suspended, resumed or deleted by people who changed their minds."""

    def __init__(self, world: World, duration_s: float) -> None:
        self.world, self.duration_s, self.told = world, duration_s, Told()
        self.rng = world.chance.of("workload")
        self.ids = SeededIds(self.rng.getrandbits(64), world.clock)
        self.bus = MemoryBus(world.broker, "outsider")

    async def run(self) -> None:
        count = self.rng.randint(6, 22)
        names = [f"job-{self.rng.randrange(count)}" for _ in range(count)]
        some = [self._person(name, self._rng()) for name in names]
        if self.rng.random() < 0.7:
            some.append(self._let_the_important_push_in(self._rng()))
        await asyncio.gather(*some)

    async def programs(self) -> None:
        """What the jobs that run report of themselves, as long as there are any; now and then a checkpoint."""
        rng, told = self._rng(), dict[str, int]()
        while True:
            await self.world.clock.sleep(rng.expovariate(1 / 4))
            if (found := self._some_token(rng)) is None:
                continue
            (name, uid), token = found
            step = told[uid] = told.get(uid, 0) + rng.randint(1, 9)
            body: dict[str, Any] = {"trainerStatus": {}, "step": step}
            if rng.random() < 0.4:
                body["checkpoint"] = {"step": step}
            with suppress(Lost):
                await self.world.ask("trainer", "POST", f"{REPORTS}/{name}/status", body, token)

    def _some_token(self, rng: random.Random) -> tuple[tuple[str, str], str] | None:
        """Of a job with a pod that runs: (name, uid), and the token as its pods read it."""
        objects = self.world.cluster.objects
        running = [
            obj for at, obj in objects.items() if at.plural == "pods" and obj["status"].get("phase") == "Running"
        ]
        owners = sorted({(labels[NAME], labels[UID]) for pod in running if UID in (labels := labels_of(pod))})
        if not owners:
            return None
        name, uid = rng.choice(owners)
        for at, obj in objects.items():
            if at.plural == "secrets" and labels_of(obj).get(UID) == uid:
                return (name, uid), base64.b64decode(obj["data"]["token"]).decode()
        return None

    async def _let_the_important_push_in(self, rng: random.Random) -> None:
        """Whoever runs the platform lets jobs of higher priority take the place of others; then come some of each."""
        await self.world.clock.sleep(rng.random() * self.duration_s / 2)
        choice = rng.choice(["LowerPriority", "LowerOrNewerEqualPriority"])
        policy = {"spec": {"preemption": {"withinClusterQueue": choice}}}
        await self._ask("scheduler", "PATCH", DEFAULT_QUEUE, policy)
        for number, priority in enumerate([None, None, None, "5", "5"]):
            wanted = job(f"rush-{number}", rng)
            notes = {**wanted["metadata"].get("annotations", {}), **({PRIORITY: priority} if priority else {})}
            wanted["metadata"]["annotations"] = notes
            wanted["spec"]["trainer"]["numNodes"] = 2
            await self._create(wanted["metadata"]["name"], wanted)
            await self.world.clock.sleep(rng.random() * 5)

    def _rng(self) -> random.Random:
        return random.Random(self.rng.getrandbits(64))

    async def _person(self, name: str, rng: random.Random) -> None:
        await self.world.clock.sleep(rng.random() * self.duration_s)
        if rng.random() < 0.5:
            await self._create(name, job(name, rng))
        else:
            await self._command(ApplyTrainJob(namespace=SPACE, manifest=job(name, rng)), name, rng)
        while rng.random() < 0.45:
            await self.world.clock.sleep(rng.expovariate(1 / 20))
            await self._change_of_mind(name, rng)

    async def _change_of_mind(self, name: str, rng: random.Random) -> None:
        match rng.choice(["suspend", "resume", "resume", "delete", "delete by command", "delete the service"]):
            case "suspend":
                await self._ask("trainer", "PATCH", f"{JOBS}/{name}", {"spec": {"suspend": True}})
            case "resume":
                await self._ask("trainer", "PATCH", f"{JOBS}/{name}", {"spec": {"suspend": False}})
            case "delete":
                await self._ask("trainer", "DELETE", f"{JOBS}/{name}")
            case "delete by command":
                await self._command(DeleteTrainJob(namespace=SPACE, name=name), name, rng)
            case "delete the service":
                await self._ask("serving", "DELETE", f"{SERVICES}/{rng.choice(SERVED)}")

    async def _create(self, name: str, manifest: dict[str, Any]) -> None:
        answer = await self._ask("trainer", "POST", JOBS, manifest)
        if answer is not None and answer[0] == 201:
            self.told.accepted[answer[1]["metadata"]["uid"]] = name

    async def _ask(self, service: str, method: str, path: str, body: Any = None) -> tuple[int, Any] | None:
        """Tries again while nobody answers, as people do; what came of a lost request they cannot know."""
        for _ in range(5):
            try:
                code, answer = await self.world.ask(service, method, path, body)
            except Lost:
                await self.world.clock.sleep(3)
                continue
            if (code >= 500 and code != 503) or code == 415:
                self.told.surprises.append(f"{method} {path}: {code} {answer}")
            return code, answer
        return None

    async def _command(self, command: Any, name: str, rng: random.Random) -> None:
        """Said, sometimes twice, and again with the same id until there is an answer: it may be lost on the way."""
        letter = letter_for(command, id=self.ids.event(), source="outside/simulation", now=self.world.clock.now())
        self.told.commands[letter.id] = name
        subject, payload = subject_for(letter.type, SPACE), letter.model_dump_json().encode()
        for attempt in range(1000):
            for copy in range(rng.choice([1, 1, 2])):
                await self._publish(subject, payload, f"{letter.id}/{attempt}/{copy}")
            await self.world.clock.sleep(PATIENCE_S)
            if self._answers(letter.id):
                return

    async def _publish(self, subject: str, payload: bytes, msg_id: str) -> None:
        try:
            await self.bus.publish(subject, payload, headers=HEADERS, msg_id=msg_id)
        except BusError:
            return

    def _answers(self, id: str) -> bool:
        mark = f'"causationid":"{id}"'.encode()
        streams = [self.world.broker.stream, *(stream for stream, _ in self.world.wiped)]
        return any(mark in message.data for stream in streams for message in stream.messages)


MODELS = ("digits", "faces")
SERVED = ("digits-live", "faces-live")


def job(name: str, rng: random.Random) -> dict[str, Any]:
    """A TrainJob that fits into the capacity; some register what they train, and some of these want it served."""
    annotations = {}
    if rng.random() < 0.6:
        which = rng.randrange(len(MODELS))
        annotations["millstream.dev/model-name"] = MODELS[which]
        if rng.random() < 0.6:
            annotations["millstream.dev/serve-as"] = SERVED[which]
    runtime = "python" if rng.random() < 0.95 else "no-such-runtime"
    if rng.random() < 0.4:
        annotations[PRIORITY] = str(rng.choice([1, 5]))
    spec: dict[str, Any] = {"runtimeRef": {"name": runtime}}
    spec["trainer"] = {"command": ["true"], "numNodes": rng.choice([1, 1, 2, 3])}
    if rng.random() < 0.2:
        spec["suspend"] = True
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "namespace": SPACE, **({"annotations": annotations} if annotations else {})},
        "spec": spec,
    }
