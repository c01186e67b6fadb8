"""What must be true of every run, whatever went wrong in it: one function for each sentence, in words and in code.

A function yields what contradicts its sentence; nothing means that it holds. They are asked when a run has come to
rest; `while_it_runs` is asked all along.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from tests.simulation.evidence import ISVCS, TRAINJOBS, Evidence, Row, admitted_cpu, memory
from tests.simulation.world import World

Invariant = Callable[[Evidence], Iterator[str]]
CAPACITY_MILLI = 4000
RESTARTS_MAX = 3
RESTARTED = "training.trainjob.restarted.v1"
SUCCEEDED, FAILED = "training.trainjob.succeeded.v1", "training.trainjob.failed.v1"
ADMITTED = "scheduling.workload.admitted.v1"
VERSION_CREATED = "registry.modelversion.created.v1"
UID_LABEL = "millstream.dev/trainjob-uid"
ISVC_LABEL = "serving.kserve.io/inferenceservice"


def while_it_runs(world: World) -> Iterator[str]:
    """At no moment are more workloads admitted than the capacity holds, and nothing good is a dead letter."""
    used = admitted_cpu(world.file("scheduler"))
    if used > CAPACITY_MILLI:
        yield f"{used} millicores are admitted, of {CAPACITY_MILLI}"
    for message in world.broker.dead.messages:
        yield f"a dead letter: {message.subject} {message.headers}"


def every_job_ends_once(e: Evidence) -> Iterator[str]:
    """Every job that was ever stored ends in exactly one of Complete, Failed or deleted, and stays there."""
    for uid, rows in e.jobs.items():
        ends = [end for row in rows if (end := _end(row))]
        if len(set(ends)) > 1:
            yield f"job {uid} ended in more than one way: {ends}"
        if rows[-1].op != "DELETED" and not ends:
            yield f"job {rows[0].name} {uid} never ended: {json.dumps((rows[-1].body or {}).get('status'))}"


def an_accepted_job_is_stored(e: Evidence) -> Iterator[str]:
    """A job that was answered with 201 is in the change log, whatever died right after the answer."""
    for uid, name in e.told.accepted.items():
        if uid not in e.jobs:
            yield f"{name} {uid} was accepted and is nowhere"


def one_end_event_per_job(e: Evidence) -> Iterator[str]:
    """Each job that ended has exactly one letter of its end, and of the right kind; no other job has any."""
    said: dict[str, list[str]] = {}
    for type in (SUCCEEDED, FAILED):
        for letter in e.letters("trainer", type):
            said.setdefault(letter["data"]["uid"], []).append(type)
    for uid, rows in e.jobs.items():
        ends = {end for row in rows if (end := _end(row))}
        wanted = [SUCCEEDED if end == "Complete" else FAILED for end in ends]
        if said.pop(uid, []) != wanted:
            yield f"job {uid} ended as {ends}, and its letters say otherwise"
    for uid, types in said.items():
        yield f"{types} were said of {uid}, which is no job"


def only_created_jobs_are_admitted(e: Evidence) -> Iterator[str]:
    """The scheduler admits only workloads that were created."""
    for letter in e.letters("scheduler", ADMITTED):
        if letter["data"]["uid"] not in e.jobs:
            yield f"{letter['data']} was admitted and never created"


def nothing_runs_without_admission(e: Evidence) -> Iterator[str]:
    """A Job appears in the cluster only after its TrainJob was admitted."""
    admitted = {letter["data"]["uid"] for letter in e.letters("scheduler", ADMITTED)}
    for each in e.cluster.history:
        uid = each.obj["metadata"].get("labels", {}).get(UID_LABEL)
        if each.type == "ADDED" and each.address.plural == "jobs" and uid not in admitted:
            yield f"{each.address} runs for {uid}, which was never admitted"


def a_job_begins_again_only_as_often_as_it_counts(e: Evidence) -> Iterator[str]:
    """A TrainJob has one Job for each admission, and one more for each counted restart; each restart is counted and
    said once, and only RESTARTS_MAX of them follow one another without a new checkpoint."""
    made = Counter(
        each.obj["metadata"]["labels"][UID_LABEL]
        for each in e.cluster.history
        if each.type == "ADDED" and each.address.plural == "jobs"
    )
    said = Counter(letter["data"]["uid"] for letter in e.letters("trainer", RESTARTED))
    for uid, rows in e.jobs.items():
        known = [(row.body or {}).get("status") or {} for row in rows]
        counts = [status.get("restarts") or 0 for status in known]
        admissions = {(status.get("admission") or {}).get("id") for status in known} - {None}
        if any(after - before not in (0, 1) for before, after in pairwise(counts)) or said[uid] != counts[-1]:
            yield f"job {uid} counted its restarts as {counts} and told of {said[uid]}"
        if made[uid] > max(1, len(admissions)) + counts[-1]:
            yield f"job {uid} had {made[uid]} Jobs, {len(admissions)} admissions and counted {counts[-1]} restarts"
        vain = Counter(entry.get("step") for entry in known[-1].get("recoveries") or [] if "restart" in entry)
        if vain and max(vain.values()) > RESTARTS_MAX:
            yield f"job {uid} began again and again from the same checkpoint: {vain}"


def no_quota_is_held_for_nothing(e: Evidence) -> Iterator[str]:
    """At rest, when all jobs are over, no workload of theirs holds quota."""
    for workload in e.workloads:
        if memory(workload).get("admission") and "trainjob" in workload["metadata"]["name"]:
            yield f"{workload['metadata']['name']} still holds {memory(workload)['admission']}"


def two_attempts_never_meet(e: Evidence) -> Iterator[str]:
    """When a TrainJob gets another Job, the last pod of the one before has gone."""
    there: dict[str, set[str]] = {}
    for each in e.cluster.history:
        uid = each.obj["metadata"].get("labels", {}).get(UID_LABEL, "")
        if each.address.plural == "pods" and uid:
            known = there.setdefault(uid, set())
            (known.discard if each.type == "DELETED" else known.add)(each.address.name)
        elif each.type == "ADDED" and each.address.plural == "jobs" and there.get(uid):
            yield f"{each.address} of {uid} was made while there were {there[uid]}"


def one_version_per_registering_job(e: Evidence) -> Iterator[str]:
    """A job that succeeded and asked for it has exactly one version in the registry; nobody else has one."""
    asked = [letter["data"]["uid"] for letter in e.letters("trainer", SUCCEEDED) if letter["data"]["register"]]
    found = [version["job_uid"] for version in e.versions]
    if Counter(asked) != Counter(found):
        yield f"jobs that registered: {sorted(asked)}; versions there are: {sorted(map(str, found))}"


def serving_knows_every_version(e: Evidence) -> Iterator[str]:
    """Serving's projection holds exactly the versions of the registry."""
    there = {(v["model"], v["version"], v["id"]) for v in e.versions}
    known = {(v["model"], v["version"], v["number"]) for v in e.known_versions}
    if there != known:
        yield f"in the registry: {sorted(there)}; known to serving: {sorted(known)}"


def what_is_served_is_the_newest(e: Evidence) -> Iterator[str]:
    """A service that jobs asked for answers with the newest of their versions, unless a person deleted it since."""
    wanted: dict[str, int] = {}
    for letter in e.letters("registry", VERSION_CREATED):
        if name := letter["data"]["serve_as"]:
            wanted[name] = max(wanted.get(name, 0), int(letter["data"]["version_id"]))
    there = e.objects("serving", ISVCS)
    deleted = {row.name for row in e.logs["serving"] if row.resource == ISVCS and row.op == "DELETED"}
    for name, number in wanted.items():
        if name not in there and name not in deleted:
            yield f"nothing serves {name}"
        elif name in there and name not in deleted:
            notes = there[name]["metadata"]["annotations"]
            if notes["serving.millstream.dev/model-version-id"] != str(number):
                yield f"{name} serves {notes}, not {number}"
    for name, isvc in there.items():
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in isvc["status"]["conditions"]):
            yield f"{name} never became ready: {isvc['status']}"


def every_letter_reached_the_stream(e: Evidence) -> Iterator[str]:
    """Every letter in every change log is in the stream (of the broker's present life) and marked as said."""
    there = {json.loads(message.data)["id"] for message in e.stream}
    for service, rows in e.logs.items():
        for row in rows:
            if row.letter and (row.letter["id"] not in there or not row.said):
                yield f"{service}'s letter {row.letter['type']} (row {row.seq}, said: {row.said}) is not in the stream"


def every_letter_was_heard(e: Evidence) -> Iterator[str]:
    """Every letter in the stream is in the inbox of each service that hears its type."""
    for service in e.hears:
        for message in e.heard_by(service):
            if json.loads(message.data)["id"] not in e.inboxes[service]:
                yield f"{service} never took {message.subject} ({message.seq})"


def no_consumer_is_stuck(e: Evidence) -> Iterator[str]:
    """Every consumer has read to the end of the stream, and nothing is in hand or waits to come again."""
    for service in e.hears:
        consumer = e.broker.consumer(service, [f"millstream.{type}.*" for type in e.hears[service]])
        if consumer.read < len(e.stream) or consumer.in_hand or consumer.again:
            yield f"{service} stands at {consumer.read} of {len(e.stream)}, holding {consumer.in_hand, consumer.again}"


def no_dead_letters(e: Evidence) -> Iterator[str]:
    """No letter that a service said, and no sound command, ends among the dead letters."""
    for dead in [e.broker.dead, *(dead for _, dead in e.wiped)]:
        for message in dead.messages:
            yield f"a dead letter: {message.subject} {message.headers}"


def nothing_is_left_of_what_is_gone(e: Evidence) -> Iterator[str]:
    """No Job, Pod, Service, Secret, Deployment or route is left in the cluster for an object that was deleted."""
    jobs = {job["metadata"]["uid"] for job in e.objects("trainer", TRAINJOBS).values()}
    served = e.objects("serving", ISVCS)
    for at, obj in e.cluster.objects.items():
        labels = obj["metadata"].get("labels", {})
        if labels.get(UID_LABEL, "") not in {"", *jobs} or labels.get(ISVC_LABEL, "") not in {"", *served}:
            yield f"{at} is left"
        if at.plural == "secrets":
            yield f"{at} is left, with a token of a job that is over"


def uids_are_unique(e: Evidence) -> Iterator[str]:
    """No two objects, of whatever service or of the cluster, ever share a uid, and no object ever changes its own."""
    born = [row.body["metadata"]["uid"] for rows in e.logs.values() for row in rows if row.op == "ADDED" and row.body]
    born += [each.obj["metadata"]["uid"] for each in e.cluster.history if each.type == "ADDED"]
    yield from (f"{uid} was given {count} times" for uid, count in Counter(born).items() if count > 1)


def letter_ids_are_unique(e: Evidence) -> Iterator[str]:
    """No two letters in the change logs share an id."""
    ids = Counter(row.letter["id"] for rows in e.logs.values() for row in rows if row.letter)
    yield from (f"letter {id} was promised {count} times" for id, count in ids.items() if count > 1)


def every_command_is_answered_once(e: Evidence) -> Iterator[str]:
    """A command on the bus has exactly one answer, however often it came: applied, deleted or rejected."""
    answers: Counter[str] = Counter()
    for row in e.logs["trainer"]:
        if row.letter and row.letter["type"].rsplit(".", 2)[1] in ("applied", "deleted", "rejected"):
            answers[str(row.letter.get("causationid"))] += 1
    for id, name in e.told.commands.items():
        if answers[id] != 1:
            yield f"command {id} about {name} has {answers[id]} answers"


def nobody_was_surprised(e: Evidence) -> Iterator[str]:
    """No request is answered with a 5xx other than 503, and no service logs an error that no fault explains."""
    yield from e.told.surprises
    yield from e.errors


ALL: tuple[Invariant, ...] = (
    every_job_ends_once,
    an_accepted_job_is_stored,
    one_end_event_per_job,
    only_created_jobs_are_admitted,
    nothing_runs_without_admission,
    a_job_begins_again_only_as_often_as_it_counts,
    no_quota_is_held_for_nothing,
    two_attempts_never_meet,
    one_version_per_registering_job,
    serving_knows_every_version,
    what_is_served_is_the_newest,
    every_letter_reached_the_stream,
    every_letter_was_heard,
    no_consumer_is_stuck,
    no_dead_letters,
    nothing_is_left_of_what_is_gone,
    uids_are_unique,
    letter_ids_are_unique,
    every_command_is_answered_once,
    nobody_was_surprised,
)


def broken(evidence: Evidence) -> list[str]:
    """All contradictions, each with the sentence that it contradicts."""
    return [f"{invariant.__doc__}\n    {what}" for invariant in ALL for what in invariant(evidence)]


def _end(row: Row) -> Any:
    conditions = ((row.body or {}).get("status") or {}).get("conditions") or []
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)
