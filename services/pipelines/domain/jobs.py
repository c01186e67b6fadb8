"""Jobs that read and made what runs read and made: TrainJobs and their like, and Experiments; pure.

All of it is hearsay of the trainer and the tuner, from facts that may come late, twice, or in another order than they
came true: each fact says something else of a job, so that all of them together say the same in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.pipelines.domain.releases import VERSION, Release, plain

STARTED_BY = "millstream.dev/task"
"""The label by which a job says which task of a run started it."""
TRAIN_JOB, EXPERIMENT = "TrainJob", "Experiment"
FIGURES_MAX = 50


@dataclass(frozen=True)
class Job:
    """Whatever is not known (yet) is empty. `ended` is SUCCEEDED or FAILED; `body` is for people."""

    uid: str
    namespace: str
    name: str
    kind: str = TRAIN_JOB
    task_uid: str = ""
    dataset_uri: str = ""
    model_uri: str = ""
    started: bool = False
    ended: str = ""
    gone: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def node(self) -> str:
        return f"job/{self.uid}"

    @property
    def state(self) -> str:
        """One of KFP's words for a task's; one that was deleted before its end is CANCELED."""
        if self.ended:
            return self.ended
        return "CANCELED" if self.gone else "RUNNING" if self.started else "PENDING"

    def shown(self) -> dict[str, Any]:
        about = {"id": self.node, "uid": self.uid, "namespace": self.namespace, "name": self.name, "kind": self.kind}
        places = {"dataset_uri": self.dataset_uri, "model_uri": self.model_uri}
        return {**about, **places, "task_id": self.task_uid, "state": self.state, "gone": self.gone, **self.body}


def figures(told: Mapping[str, Any]) -> dict[str, Any]:
    """So many of them as are kept."""
    return dict(sorted(told.items())[:FIGURES_MAX])


def job_links(
    jobs: Iterable[Job], tasks: Iterable[str], artifacts: Iterable[tuple[str, str]], releases: Sequence[Release]
) -> list[dict[str, str]]:
    """What leads to jobs and on from them: the tasks that started them (by uid), the artifacts, (id, URI), that they
    read and made, and the versions that they were registered as."""
    here, at = set(tasks), {}
    for id, uri in artifacts:
        at.setdefault(plain(uri), []).append(id)
    found = []
    for job in jobs:
        found += [(job.task_uid, job.node, "started")] if job.task_uid in here else []
        found += [(id, job.node, "read") for id in at.get(job.dataset_uri, ()) if job.dataset_uri]
        made = at.get(job.model_uri, []) if job.ended == "SUCCEEDED" and job.model_uri else []
        found += [(job.node, id, "made") for id in made]
        # Where the bytes are known, the version hangs on those.
        found += [(job.node, one.node, "registered") for one in releases if is_by(one, job) and one.uri not in at]
    return [{"from": source, "to": target, "kind": kind} for source, target, kind in found]


def is_by(release: Release, job: Job) -> bool:
    """Whether the registry recorded the version because this job had made it."""
    return release.kind == VERSION and release.body.get("job_uid") == job.uid
