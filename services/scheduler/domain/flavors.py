"""Which flavors a workload would get: for every resource group the first flavor that will do, as its queue's
fungibility says; with what is missing, in words, where none will.

Source of the rules: Kueue's ClusterQueue documentation (flavors and resources, flavor fungibility, borrowing).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from services.scheduler.domain.holding import usage_of
from services.scheduler.domain.model import (
    Assignment,
    ClusterQueue,
    FlavorQuotas,
    Fungibility,
    PodSet,
    Policy,
    ResourceFlavor,
    ResourceGroup,
)
from services.scheduler.domain.quantities import say
from services.scheduler.domain.quota import FlavorResource, QuotaNode, distance
from services.scheduler.domain.selectors import untolerated


class Mode(IntEnum):
    """NEVER: not as configured. STUCK: others must finish. PREEMPT: others can be made to leave. FIT: now."""

    NEVER = 0
    STUCK = 1
    PREEMPT = 2
    FIT = 3


Oracle = Callable[[Mapping[FlavorResource, int]], bool]
"""Would preemption make room for this much?"""


@dataclass(frozen=True)
class Verdict:
    """`distance`: how far quota is borrowed from (quota.distance)."""

    mode: Mode
    assignments: tuple[Assignment, ...] = ()
    usage: Mapping[FlavorResource, int] = field(default_factory=dict)
    distance: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Offer:
    flavor: str
    mode: Mode
    distance: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Market:
    """What the pod sets of one workload choose from."""

    queue: ClusterQueue
    node: QuotaNode
    flavors: Mapping[str, ResourceFlavor]
    oracle: Oracle | None = None
    wired: Callable[[str], bool] = lambda flavor: False
    seats: Callable[[PodSet, Assignment], str] = lambda pod_set, assignment: ""
    """Why there is no place for these pods in this flavor's topology; empty if there is."""


def assign(market: Market, pod_sets: tuple[PodSet, ...], counts: Mapping[str, int], over: Mapping[str, int]) -> Verdict:
    """All pod sets or none; what the first ones take, the later ones do not find any more. Pods that are `over`
    need nothing."""
    usage: dict[FlavorResource, int] = {}
    assignments: list[Assignment] = []
    mode, reasons = Mode.FIT, []
    for pod_set in pod_sets:
        count = counts.get(pod_set.name, pod_set.count)
        left = max(0, count - over.get(pod_set.name, 0))
        chosen, why, worst = _pod_set(market, pod_set, count, left, usage)
        reasons += why
        mode = min(mode, worst)
        if chosen is None:
            return Verdict(Mode.NEVER, reasons=tuple(reasons))
        for fr, amount in usage_of(chosen, left).items():
            usage[fr] = usage.get(fr, 0) + amount
        assignments.append(chosen)
    return Verdict(mode, tuple(assignments), usage, distance(market.node, usage), tuple(reasons))


def _pod_set(
    market: Market, pod_set: PodSet, count: int, left: int, usage: Mapping[FlavorResource, int]
) -> tuple[Assignment | None, list[str], Mode]:
    asked = {resource: amount for resource, amount in pod_set.requests.items() if amount > 0}
    for group in market.queue.resource_groups:
        if "pods" in group.resources:
            asked["pods"] = 1
    covered = {resource for group in market.queue.resource_groups for resource in group.resources}
    if missing := sorted(set(asked) - covered):
        return None, [f"{', '.join(missing)} is not offered by ClusterQueue {market.queue.name}"], Mode.NEVER
    flavors: dict[str, str] = {}
    reasons: list[str] = []
    worst = Mode.FIT
    for group in market.queue.resource_groups:
        amounts = {resource: asked[resource] * left for resource in group.resources if resource in asked}
        if not amounts:
            continue
        best, why = _choose(market, group, pod_set, amounts, usage)
        if best is None or best.mode is not Mode.FIT:
            reasons += why
        if best is None:
            return None, reasons, Mode.NEVER
        worst = min(worst, best.mode)
        flavors.update(dict.fromkeys(amounts, best.flavor))
    return _assignment(market, pod_set, count, flavors, asked), reasons, worst


def _choose(
    market: Market,
    group: ResourceGroup,
    pod_set: PodSet,
    amounts: Mapping[str, int],
    usage: Mapping[FlavorResource, int],
) -> tuple[_Offer | None, list[str]]:
    """The best offer by the rules of fungibility; later flavors are looked at only as far as those rules say."""
    rules, reasons, best = market.queue.fungibility, [], None
    keys = {key for quotas in group.flavors for key in _labels(market, quotas.flavor)}
    for quotas in group.flavors:
        offer = _offer(market, quotas, pod_set, amounts, usage, keys, len(group.flavors) > 1)
        if offer.mode is Mode.FIT and len(group.flavors) > 1 and market.wired(offer.flavor):
            offer = _placed(market, offer, pod_set, amounts)
        reasons += offer.reasons
        if offer.mode is Mode.NEVER:
            continue
        if best is None or _rank(market, offer) > _rank(market, best):
            best = offer
        borrow_ok = not offer.distance or rules.when_can_borrow is Fungibility.STOP
        preempt_ok = offer.mode is Mode.FIT or rules.when_can_preempt is Fungibility.STOP
        if offer.mode >= Mode.PREEMPT and borrow_ok and preempt_ok:
            break
    return best, reasons


def _rank(market: Market, offer: _Offer) -> tuple[int, ...]:
    if market.queue.fungibility.prefer_preemption:
        return (offer.mode >= Mode.PREEMPT, -offer.distance, offer.mode)
    return (offer.mode, -offer.distance)


def _offer(
    market: Market,
    quotas: FlavorQuotas,
    pod_set: PodSet,
    amounts: Mapping[str, int],
    usage: Mapping[FlavorResource, int],
    keys: set[str],
    several: bool,
) -> _Offer:
    name = quotas.flavor
    if unfit := _unfit(market, name, pod_set, keys):
        return _Offer(name, Mode.NEVER, 0, (unfit,))
    mode, reasons = Mode.FIT, []
    total: dict[FlavorResource, int] = {}
    for resource, amount in amounts.items():
        fr = (name, resource)
        total[fr] = usage.get(fr, 0) + amount
        free = market.node.available(fr)
        if free >= total[fr]:
            continue
        most = market.node.potential(fr)
        if most < total[fr]:
            asks = f"asks for {say(resource, total[fr])} of flavor {name}"
            return _Offer(name, Mode.NEVER, 0, (f"{asks}; its queue can never have more than {say(resource, most)}",))
        mode = Mode.PREEMPT
        reasons.append(f"asks for {say(resource, total[fr])} of flavor {name}; {say(resource, max(0, free))} is free")
    if mode is Mode.PREEMPT and not _may_preempt(market, total, several):
        mode = Mode.STUCK
    return _Offer(name, mode, distance(market.node, total), tuple(reasons))


def _placed(market: Market, offer: _Offer, pod_set: PodSet, amounts: Mapping[str, int]) -> _Offer:
    """Its quota would do; without a place in its topology the next flavor is tried (kueue#13956)."""
    flavors = dict.fromkeys(amounts, offer.flavor)
    assignment = _assignment(market, pod_set, pod_set.count, flavors, dict(pod_set.requests))
    why = market.seats(pod_set, assignment)
    return replace(offer, mode=Mode.STUCK, reasons=(f"flavor {offer.flavor}: {why}",)) if why else offer


def _may_preempt(market: Market, total: Mapping[FlavorResource, int], several: bool) -> bool:
    """By its policies at all; asked of the oracle only where there is another flavor to turn to."""
    rules = market.queue.preemption
    if rules.within_cluster_queue is Policy.NEVER and rules.reclaim_within_cohort is Policy.NEVER:
        return False
    return not several or market.oracle is None or market.oracle(total)


def _unfit(market: Market, name: str, pod_set: PodSet, keys: set[str]) -> str:
    """Why these pods cannot run on this kind of machine; labels that no flavor of the group has do not matter here."""
    flavor = market.flavors.get(name)
    if flavor is None:
        return f"ResourceFlavor {name} does not exist"
    if taint := untolerated(flavor.node_taints, (*pod_set.tolerations, *flavor.tolerations)):
        return (
            f"flavor {name} has taint {taint.key}={taint.value}:{taint.effect}, which {pod_set.name} does not tolerate"
        )
    for key, value in sorted(pod_set.node_selector.items()):
        if key in keys and flavor.node_labels.get(key) != value:
            return f"flavor {name} does not have label {key}={value}, which {pod_set.name} selects"
    if pod_set.topology is not None and not market.wired(name):
        return f"flavor {name} has no topology, which {pod_set.name} asks for"
    return ""


def _labels(market: Market, flavor: str) -> Mapping[str, str]:
    known = market.flavors.get(flavor)
    return known.node_labels if known else {}


def _assignment(
    market: Market, pod_set: PodSet, count: int, flavors: Mapping[str, str], asked: Mapping[str, int]
) -> Assignment:
    chosen = [market.flavors[name] for name in sorted(set(flavors.values()))]
    return Assignment(
        name=pod_set.name,
        count=count,
        flavors=dict(flavors),
        requests=dict(asked),
        node_selector={key: value for flavor in chosen for key, value in flavor.node_labels.items()},
        tolerations=tuple(toleration for flavor in chosen for toleration in flavor.tolerations),
    )
