"""The pods and services of these jobs as upstream names and labels them; nothing here is created yet.

None has an ownerReference to the job: it lives in another API server, and a cluster's garbage collector would take the
owner for gone. Labels tie them; the finalizer sees to their end.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from contracts import queueing
from contracts.events.scheduling.v1 import Assignment
from contracts.kinds.quantity import amount
from libs.cluster import security
from services.trainer.domain.blueprint import with_default_limits
from services.trainer.domain.legacy import words
from services.trainer.domain.legacy.crew import replica_specs
from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Job, Replica, value
from services.trainer.domain.legacy.restarts import POD_POLICY
from services.trainer.domain.merge import by_key
from services.trainer.domain.words import MANAGED_BY

Object = dict[str, Any]
FILES = "millstream-files"


def labels(job: Job, family: Family) -> dict[str, str]:
    """What all objects of a job bear; the first two are what upstream's clients and printed selectors ask for."""
    meta = job["metadata"]
    own = {words.JOB_NAME: meta["name"], words.OPERATOR_NAME: family.operator}
    return {**MANAGED_BY, **own, words.UID: meta["uid"]}


def selector(job: Job, family: Family, role: str) -> str:
    """`status.replicaStatuses[role].selector`."""
    found = {words.JOB_NAME: job["metadata"]["name"], words.OPERATOR_NAME: family.operator}
    return ",".join(f"{key}={value}" for key, value in sorted({**found, words.REPLICA_TYPE: role.lower()}.items()))


def service(crew: Crew, family: Family, replica: Replica) -> Object:
    """Headless and open before readiness: a rendezvous needs names before anything is ready."""
    wanted = _labels(crew, family, replica)
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {key: wanted[key] for key in (words.UID, words.REPLICA_TYPE, words.REPLICA_INDEX)},
        "ports": [{"name": family.port_name, "port": replica.port, "targetPort": replica.port}],
    }
    meta = {"name": replica.host, "namespace": crew.job["metadata"]["namespace"], "labels": wanted}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def holder(job: Job) -> str:
    """The Secret with the files of a job whose family has some."""
    return f"{job['metadata']['name']}-files"


def secret(crew: Crew, family: Family, more: Mapping[str, str]) -> Object:
    """`more` are files that do not hang on the job, and its token."""
    assert family.files
    meta = {
        "name": holder(crew.job),
        "namespace": crew.job["metadata"]["namespace"],
        "labels": labels(crew.job, family),
    }
    data = {**more, **family.files(crew)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}


def templates(job: Job, family: Family) -> dict[str, Object]:
    """Pod templates by role, with amounts for containers that name none."""
    return {role: _with_amounts(spec["template"], family) for role, spec in replica_specs(job, family).items()}


def pod(crew: Crew, family: Family, replica: Replica, given: Assignment | None, *, restricted: bool) -> Object:
    """`given` is what the scheduler assigned to the replica's role; `restricted` that no root is let in."""
    spec_of_role = crew.job["spec"][family.specs][replica.role]
    template = _placed(templates(crew.job, family)[replica.role], given, replica.index)
    spec = security.with_defaults(template["spec"], restricted=restricted)
    policy = spec_of_role["restartPolicy"]
    spec |= {"restartPolicy": POD_POLICY.get(policy, policy)}
    spec.setdefault("terminationGracePeriodSeconds", 10)
    if not spec.get("serviceAccountName"):
        spec.setdefault("automountServiceAccountToken", False)
    own = tuple(family.env(crew, replica))
    spec["containers"] = [_container(each, family, replica, own) for each in spec["containers"]]
    if family.files:
        given_files = {"name": FILES, "secret": {"secretName": holder(crew.job), "defaultMode": 0o444}}
        spec["volumes"] = by_key(spec.get("volumes") or [], [given_files], "name")
    found = template.get("metadata") or {}
    meta = {
        "name": replica.host,
        "namespace": crew.job["metadata"]["namespace"],
        "labels": {**(found.get("labels") or {}), **_labels(crew, family, replica)},
        "annotations": dict(found.get("annotations") or {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _labels(crew: Crew, family: Family, replica: Replica) -> dict[str, str]:
    own = {words.REPLICA_TYPE: replica.role.lower(), words.REPLICA_INDEX: str(replica.index)}
    leading = next((crew.of(role) for role in family.leaders if crew.of(role)), None)
    first = replica in leading if leading else (replica.role, replica.index) == ("Worker", 0)
    return {**labels(crew.job, family), **own, **({words.JOB_ROLE: words.MASTER} if first else {})}


def _placed(template: Object, given: Assignment | None, rank: int) -> Object:
    """Every pod is made by itself, so it is told its own domain at once and waits behind no gate."""
    if given is None:
        return template
    out = queueing.placed(template, given.model_copy(update={"topology": []}))
    own = queueing.domain_selector(given, rank)
    if own:
        out["spec"]["nodeSelector"] = {**(out["spec"].get("nodeSelector") or {}), **own}
    return out


def _with_amounts(template: Object, family: Family) -> Object:
    out = deepcopy(template)
    for container in out["spec"]["containers"]:
        if container["name"] == family.container:
            container["resources"] = with_default_limits(container.get("resources") or {})
    return out


def _container(container: Object, family: Family, replica: Replica, own: Sequence[EnvVar]) -> Object:
    """The job's own variables win over the platform's, the framework's over both: a wrong rank helps nobody."""
    env = by_key(by_key(_platform_env(container), container.get("env") or [], "name"), own, "name")
    if container["name"] != family.container:
        return {**container, "env": env}
    mounts = [{"name": FILES, "mountPath": family.folder, "readOnly": True}] if family.files else []
    port = {"name": family.port_name, "containerPort": replica.port, "protocol": "TCP"}
    return {
        **_told(container, family.commands.get(replica.role)),
        "env": env,
        "volumeMounts": by_key(container.get("volumeMounts") or [], mounts, "mountPath"),
        "ports": by_key(container.get("ports") or [], [port], "name"),
        # The last lines of the log become the message of a failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _told(container: Object, command: Sequence[str] | None) -> Object:
    if command is None:
        return container
    return {**{key: value for key, value in container.items() if key != "args"}, "command": list(command)}


def _platform_env(container: Object) -> list[EnvVar]:
    """More threads than cores is the commonest reason why training on CPUs crawls."""
    cores = ((container.get("resources") or {}).get("limits") or {}).get("cpu")
    threads = [value("OMP_NUM_THREADS", max(1, int(amount(cores))))] if cores is not None else []
    return [value("PYTHONUNBUFFERED", 1), *threads]
