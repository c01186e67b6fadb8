"""What one waiting workload would get if it were its turn now: flavors, counts and places, or why not."""

from collections.abc import Mapping
from dataclasses import replace

from services.scheduler.domain.flavors import Market, Mode, Oracle, Verdict, assign
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.model import Assignment, ClusterQueue, PodSet, Policy, Stop, Workload
from services.scheduler.domain.partial import largest
from services.scheduler.domain.placing import seat
from services.scheduler.domain.preempt import Candidate, Gather, Search
from services.scheduler.domain.preempt_classic import classic
from services.scheduler.domain.preempt_fair import fair
from services.scheduler.domain.quota import FlavorResource, QuotaNode
from services.scheduler.domain.selectors import satisfies
from services.scheduler.domain.topology.place import NoPlace
from services.scheduler.domain.trial import Trial


def nominate(trial: Trial, workload: Workload, home: str) -> Verdict:
    """With all pods, or, if others would have to finish first and it may start smaller, with as many as fit."""
    if why := refused(trial, workload, home):
        return Verdict(Mode.NEVER, reasons=(why,))
    verdict = with_counts(trial, workload, home, wanted_counts(workload))
    if verdict.mode < Mode.PREEMPT:
        return smaller(trial, workload, home) or verdict
    return verdict


def smaller(trial: Trial, workload: Workload, home: str) -> Verdict | None:
    """Partial admission: the most pods that fit now."""

    def attempt(counts: Mapping[str, int]) -> Verdict | None:
        verdict = with_counts(trial, workload, home, counts)
        return verdict if verdict.mode is Mode.FIT else None

    return largest(workload.pod_sets, wanted_counts(workload), attempt)


def with_counts(trial: Trial, workload: Workload, home: str, counts: Mapping[str, int]) -> Verdict:
    spec, leaf = market_of(trial, home)
    book = trial.book

    def seats(pod_set: PodSet, assignment: Assignment) -> str:
        left = counts.get(pod_set.name, pod_set.count) - workload.reclaimable.get(pod_set.name, 0)
        try:
            seat(book.fleet, (pod_set,), (replace(assignment, count=max(0, left)),))
        except NoPlace as why:
            return str(why)
        return ""

    market = Market(spec, leaf, book.flavors, _oracle(trial, workload, home), book.fleet.is_wired, seats)
    verdict = assign(market, workload.pod_sets, counts, workload.reclaimable)
    if verdict.mode is not Mode.FIT:
        return verdict
    try:
        return replace(verdict, assignments=seated(trial, workload, verdict.assignments))
    except NoPlace as why:
        mode = Mode.PREEMPT if may_preempt(spec) else Mode.STUCK
        return replace(verdict, mode=mode, reasons=(*verdict.reasons, str(why)))


def victims(trial: Trial, workload: Workload, verdict: Verdict, home: str) -> list[Candidate] | None:
    """Who would have to leave for it; see Search.find."""

    def seats() -> bool:
        try:
            seated(trial, workload, verdict.assignments)
        except NoPlace:
            return False
        return True

    return Search(trial, workload, Holding(home, verdict.usage), seats).find(_gather(trial))


def seated(trial: Trial, workload: Workload, assignments: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
    """Only pods that are not over need a place. Raises NoPlace."""
    fleet = trial.book.fleet
    if not any(fleet.is_wired(flavor) for a in assignments for flavor in a.flavors.values()):
        return assignments
    over = workload.reclaimable
    left = [replace(a, count=max(0, a.count - over.get(a.name, 0))) for a in assignments]
    placed = seat(fleet, workload.pod_sets, left)
    return tuple(replace(p, count=a.count) for p, a in zip(placed, assignments, strict=True))


def refused(trial: Trial, workload: Workload, home: str) -> str:
    """Why its queue takes nobody like it at all; empty if it does."""
    book = trial.book
    spec = book.states[home].spec if home in book.states else None
    if spec is None:
        return f"ClusterQueue {home} does not exist"
    if book.is_stopped(workload) is not Stop.NONE:
        stopped = f"ClusterQueue {home}" if spec.stop is not Stop.NONE else f"LocalQueue {workload.queue}"
        return f"{stopped} is stopped"
    if spec.namespaces is None or not satisfies(spec.namespaces, book.namespaces.get(workload.namespace, {})):
        return f"ClusterQueue {home} does not take workloads of namespace {workload.namespace}"
    if spec.cohort in book.forest.cyclic:
        return f"cohort {spec.cohort} is its own ancestor; mend the parents of the cohorts"
    return ""


def market_of(trial: Trial, home: str) -> tuple[ClusterQueue, QuotaNode]:
    spec = trial.book.states[home].spec
    assert spec is not None, "asked after refused()"
    return spec, trial.book.forest.queues[home]


def wanted_counts(workload: Workload) -> dict[str, int]:
    return {p.name: max(p.min_count or 0, workload.counts.get(p.name, p.count)) for p in workload.pod_sets}


def may_preempt(spec: ClusterQueue) -> bool:
    rules = spec.preemption
    return not (rules.within_cluster_queue is Policy.NEVER and rules.reclaim_within_cohort is Policy.NEVER)


def _oracle(trial: Trial, workload: Workload, home: str) -> Oracle:
    def would_help(usage: Mapping[FlavorResource, int]) -> bool:
        search = Search(trial, workload, Holding(home, usage), lambda: True)
        return search.find(_gather(trial)) is not None

    return would_help


def _gather(trial: Trial) -> Gather:
    return fair if trial.book.rules.fair_sharing else classic
