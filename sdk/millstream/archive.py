"""What the platform keeps of training jobs: pods of all attempts, logs, figures; read while they run and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from millstream.client import Client, raise_for_status
from millstream.errors import ClientError, NotThere

MAIN_CONTAINERS = ("node", "launcher", "pytorch", "tensorflow", "mpi", "xgboost", "paddle", "jax")
ARCHIVED = "millstream.dev/archived"
JOB_LABEL, LEGACY_LABEL = "jobset.sigs.k8s.io/jobset-name", "training.kubeflow.org/job-name"
ROLE_LABELS = ("jobset.sigs.k8s.io/replicatedjob-name", "training.kubeflow.org/replica-type")
RANK_LABELS = ("batch.kubernetes.io/job-completion-index", "training.kubeflow.org/replica-index")
TRAINER = "trainer.kubeflow.org"


@dataclass(frozen=True)
class JobPod:
    """One life of one node of a job; `container` is the one whose log is the program's."""

    name: str
    uid: str
    role: str
    rank: int
    attempt: int
    container: str
    is_gone: bool

    @property
    def title(self) -> str:
        return f"{self.role}-{self.rank}"


@dataclass(frozen=True)
class Job:
    """A job by its place; `plural` as in the API (trainjobs, pytorchjobs)."""

    client: Client
    plural: str
    name: str
    namespace: str
    label: str = JOB_LABEL

    @classmethod
    def find(cls, client: Client, word: str, name: str, namespace: str) -> Job:
        """By any word that names the kind; the job itself may be gone."""
        kind = client.resource(word)
        return cls(client, kind.plural, name, namespace, JOB_LABEL if kind.group == TRAINER else LEGACY_LABEL)

    @property
    def path(self) -> str:
        return f"/training/v1/namespaces/{self.namespace}/archive"

    def story(self) -> dict[str, Any] | None:
        """All that is kept of it but logs, None where nothing is."""
        return self._ask(f"{self.path}/{self.plural}/{self.name}")

    def figures(self) -> list[dict[str, Any]]:
        """What it reported, oldest first. Raises NotThere for a job that nothing is known of."""
        told = self._ask(f"{self.path}/{self.plural}/{self.name}/metrics")
        if told is None and self.live() is None:
            raise NotThere(f"there is no {self.plural}/{self.name} in {self.namespace}, and nothing is kept of one")
        return list((told or {}).get("items") or [])

    def live(self) -> dict[str, Any] | None:
        """The job's object while there is one."""
        return self.client.find(self.plural, self.name, self.namespace)

    def pods(self) -> list[JobPod]:
        """Of every attempt, oldest first; those in the cluster that are not in the archive yet belong to the last."""
        kept = [_kept(pod) for pod in (self.story() or {}).get("pods") or []]
        known = {pod.uid for pod in kept}
        here = [
            pod for pod in self.client.list("pods", self.namespace, f"{self.label}={self.name}") if _is_new(pod, known)
        ]
        latest = max((pod.attempt for pod in kept), default=0)
        taken = {(pod.role, pod.rank) for pod in kept if pod.attempt == latest}
        fresh = [_living(pod, latest) for pod in here]
        begun_anew = any((pod.role, pod.rank) in taken for pod in fresh)
        fresh = [_living(pod, latest + 1) for pod in here] if begun_anew else fresh
        return sorted([*kept, *fresh], key=lambda pod: (pod.attempt, pod.role, pod.rank))

    def lines(self, pod: JobPod, follow: bool = False, **params: str) -> Iterator[str]:
        """The lines of one pod's log; `params` are those of the API (container, tailLines, sinceTime, ...)."""
        wished = {"container": pod.container, **params}
        if not pod.is_gone:
            try:
                yield from self.client.logs(pod.name, self.namespace, follow, **wished)
                return
            except NotThere:
                pass  # it went meanwhile
        path = f"{self.path}/pods/{pod.name}/log"
        with self.client.http.stream("GET", path, params={**wished, "uid": pod.uid}) as answer:
            raise_for_status(answer)
            yield from answer.iter_lines()

    def _ask(self, path: str) -> dict[str, Any] | None:
        try:
            return dict(self.client.request("GET", path).json())
        except NotThere:
            return None


def job_named(client: Client, target: str, namespace: str) -> Job | None:
    """`kind/NAME`, or the NAME of a TrainJob that is there or is kept; None for a name that is no job's."""
    word, slash, name = target.partition("/")
    if slash:
        job = Job.find(client, word, name, namespace)
        if job.label == LEGACY_LABEL and client.resource(word).group != "kubeflow.org":
            raise ClientError(f"logs of {target!r}: give a pod's name, or trainjob/NAME")
        return job
    job = Job.find(client, "trainjobs", target, namespace)
    return job if job.live() is not None or job.story() is not None else None


def _kept(pod: dict[str, Any]) -> JobPod:
    place = (pod["name"], pod["uid"], pod["role"], int(pod["rank"]), int(pod["attempt"]))
    return JobPod(*place, _telling(pod), bool(pod["goneAt"]))


def _telling(pod: dict[str, Any]) -> str:
    """The container of the program; of a pod that failed before it began, the one that failed (an initializer)."""
    main = _main(pod["containers"])
    printed = [log["container"] for log in pod.get("logs") or []]
    return printed[-1] if printed and main not in printed and pod.get("phase") == "Failed" else main


def _living(pod: dict[str, Any], attempt: int) -> JobPod:
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    role = next((labels[key] for key in ROLE_LABELS if key in labels), "node")
    rank = next((int(labels[key]) for key in RANK_LABELS if labels.get(key, "").isdigit()), 0)
    names = [container["name"] for container in pod["spec"]["containers"]]
    return JobPod(meta["name"], meta["uid"], role, rank, attempt, _main(names), False)


def _main(names: list[str]) -> str:
    return next((name for name in MAIN_CONTAINERS if name in names), names[0])


def _is_new(pod: dict[str, Any], known: set[str]) -> bool:
    meta = pod["metadata"]
    return meta["uid"] not in known and ARCHIVED not in (meta.get("annotations") or {})
