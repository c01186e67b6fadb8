"""The rules of queues one by one, as Kueue documents them: flavors, limits, order, checks, time, elastic workloads."""

from dataclasses import replace

import pytest

from services.scheduler.domain.model import (
    Admit,
    CheckRule,
    CheckState,
    ClusterQueue,
    FairStrategy,
    FlavorFungibility,
    FlavorQuotas,
    Fungibility,
    LocalQueue,
    PodSet,
    Policy,
    Preemption,
    Quota,
    Reason,
    Requirement,
    Reserve,
    ResourceFlavor,
    ResourceGroup,
    Rules,
    Stop,
    Strategy,
    Taint,
    Toleration,
    Update,
)
from services.scheduler.domain.moves import reported
from tests.services.scheduler.worlds import RECLAIM, World, cohort, groups, queue, workload


def got(world: World, uid: str) -> dict[str, str]:
    return dict(world.book.workloads[uid].admission.assignments[0].flavors)


# Limits


def test_nobody_borrows_beyond_the_limit_nor_lends_beyond_it():
    world = World(
        queue("a", {"default": Quota(10, borrowing_limit=2)}, "c"), queue("b", {"default": Quota(10, None, 3)}, "c")
    )
    world.submit(workload("a1", "a", 12, arrival=1))
    world.settle()
    world.submit(workload("a2", "a", 1, arrival=2))
    world.settle()
    assert world.running() == {"a1"}
    world.book.put_queue(queue("a", {"default": Quota(10)}, "c"))
    world.settle()
    assert world.running() == {"a1", "a2"}, "of the 3 that b lends, 3 are used now"
    world.submit(workload("a3", "a", 1, arrival=3))
    world.settle()
    assert "a3" not in world.running()
    world.submit(workload("b1", "b", 7, arrival=4))
    world.settle()
    assert "b1" in world.running(), "what b keeps at home is always its own"


def test_quota_flows_through_a_hierarchy_and_a_cohorts_own_quota_is_for_all_below_it():
    world = World(cohort("root", 5), cohort("mid", 0, "root"), queue("a", 2, "mid"), queue("b", 3, "root"))
    world.submit(workload("a1", "a", 10, arrival=1))
    world.settle()
    assert world.running() == {"a1"}


def test_the_default_queue_takes_those_who_name_none():
    world = World(queue("default", 4))
    world.submit(replace(workload("w", "", 1), queue=""))
    world.settle()
    assert world.running() == {"w"}


# Flavors


def test_the_first_flavor_with_room_is_taken():
    world = World(queue("a", {"fast": 4, "slow": 8}), flavors=("fast", "slow"))
    world.submit(workload("one", "a", 3, arrival=1))
    world.settle()
    world.submit(workload("two", "a", 3, arrival=2))
    world.settle()
    assert (got(world, "one"), got(world, "two")) == ({"cpu": "fast"}, {"cpu": "slow"})


@pytest.mark.parametrize(
    ("borrow", "flavor"),
    [(Fungibility.STOP, "fast"), (Fungibility.TRY_NEXT, "slow")],
    ids=["borrow first", "own first"],
)
def test_fungibility_says_whether_to_borrow_of_the_first_or_try_the_next(borrow: Fungibility, flavor: str):
    rules = FlavorFungibility(when_can_borrow=borrow)
    world = World(
        queue("a", {"fast": 2, "slow": 8}, "c", fungibility=rules),
        queue("b", {"fast": 8}, "c"),
        flavors=("fast", "slow"),
    )
    world.submit(workload("one", "a", 3))
    world.settle()
    assert got(world, "one") == {"cpu": flavor}


@pytest.mark.parametrize(
    ("preempt", "evicted"), [(Fungibility.STOP, [("low", "high")]), (Fungibility.TRY_NEXT, [])], ids=["stop", "next"]
)
def test_fungibility_says_whether_to_preempt_in_the_first_or_try_the_next(preempt: Fungibility, evicted: list):
    rules = FlavorFungibility(when_can_preempt=preempt)
    world = World(queue("a", {"fast": 4, "slow": 4}, preemption=RECLAIM, fungibility=rules), flavors=("fast", "slow"))
    world.submit(workload("low", "a", 4, arrival=1))
    world.settle()
    world.submit(workload("high", "a", 4, priority=1, arrival=2))
    world.settle()
    assert world.evictions() == evicted


def test_taints_and_selectors_choose_flavors():
    world = World(queue("a", {"spot": 9, "stable": 9}))
    world.book.put_flavor(ResourceFlavor("spot", {"tier": "spot"}, (Taint("spot", "true"),)))
    world.book.put_flavor(ResourceFlavor("stable", {"tier": "stable"}))
    pods = PodSet("main", 1, {"cpu": 1})
    tolerant = replace(pods, tolerations=(Toleration("spot", "Exists"),))
    picky = replace(pods, node_selector={"tier": "spot", "of-no-flavor": "x"})
    world.submit(workload("plain", "a", 1, arrival=1, pod_sets=(pods,)))
    world.settle()
    world.submit(workload("tolerant", "a", 1, arrival=2, pod_sets=(tolerant,)))
    world.settle()
    world.submit(workload("picky", "a", 1, arrival=3, pod_sets=(picky,)))
    world.settle()
    assert (got(world, "plain"), got(world, "tolerant")) == ({"cpu": "stable"}, {"cpu": "spot"})
    assert "taint spot=true:NoSchedule" in world.reason("picky")
    assert "does not have label tier=spot" in world.reason("picky")


def test_two_resource_groups_give_two_flavors_and_fractions_are_resources_like_any():
    gpus = ResourceGroup(("nvidia.com/mig-1g.5gb",), (FlavorQuotas("mig", {"nvidia.com/mig-1g.5gb": Quota(2)}),))
    world = World(ClusterQueue("a", (*groups(4), gpus)), flavors=("default", "mig"))
    asks = (PodSet("main", 2, {"cpu": 1, "nvidia.com/mig-1g.5gb": 1}),)
    world.submit(workload("w", "a", 1, pod_sets=asks), workload("x", "a", 1, arrival=1, pod_sets=asks))
    world.settle()
    assert got(world, "w") == {"cpu": "default", "nvidia.com/mig-1g.5gb": "mig"}
    assert world.reason("x") == "asks for 2 nvidia.com/mig-1g.5gb of flavor mig; 0 nvidia.com/mig-1g.5gb is free"


def test_what_no_group_offers_is_refused_by_its_name():
    world = World(queue("a", 4))
    world.submit(workload("w", "a", 1, pod_sets=(PodSet("main", 1, {"cpu": 1, "amd.com/gpu": 1}),)))
    world.settle()
    assert world.reason("w") == "amd.com/gpu is not offered by ClusterQueue a"


def test_asking_for_less_than_nothing_frees_nothing():
    world = World(queue("a", 4))
    world.submit(workload("liar", "a", -100, arrival=1), workload("w", "a", 5, arrival=2))
    world.settle()
    assert "w" not in world.running()
    assert world.book.node("a").usage.get(("default", "cpu"), 0) >= 0


def test_pods_are_counted_where_a_queue_limits_them():
    pods = ResourceGroup(("cpu", "pods"), (FlavorQuotas("default", {"cpu": Quota(99), "pods": Quota(3)}),))
    world = World(ClusterQueue("a", (pods,)))
    world.submit(workload("two", "a", 1, arrival=1, pods=2), workload("more", "a", 1, arrival=2, pods=2))
    world.settle()
    assert world.running() == {"two"}


# Order


def test_strict_waits_for_its_head_and_best_effort_does_not():
    for strategy, running in ((Strategy.STRICT_FIFO, {"r"}), (Strategy.BEST_EFFORT_FIFO, {"r", "tiny"})):
        world = World(queue("a", 10, strategy=strategy))
        world.submit(
            workload("r", "a", 5, arrival=1), workload("big", "a", 9, arrival=2), workload("tiny", "a", 1, arrival=3)
        )
        world.settle()
        assert world.running() == running


def test_a_strict_queue_goes_on_after_its_head_got_the_room_that_was_made_for_it():
    world = World(queue("a", 5, preemption=RECLAIM, strategy=Strategy.STRICT_FIFO))
    world.submit(workload("low", "a", 5, 0, 1))
    world.settle()
    world.submit(workload("high", "a", 4, 1, 2))
    world.settle()
    world.submit(workload("next", "a", 1, 1, 3))
    world.calm()
    assert world.running() == {"high", "next"}


def test_who_need_not_borrow_goes_before_who_borrows_then_priority_then_arrival():
    world = World(queue("a", 2, "c"), queue("b", 4, "c"), queue("d", 0, "c"))
    world.submit(workload("borrows", "a", 4, 9, 1), workload("own", "b", 4, 0, 2), workload("later", "d", 2, 0, 3))
    world.settle()
    assert world.started() == ["own", "later"]


def test_under_fair_sharing_weights_count():
    world = World(
        cohort("root", 12),
        *(queue(n, 0, "root", fair_weight=w, preemption=RECLAIM) for n, w in (("a", 1000), ("b", 2000))),
        rules=Rules(fair_sharing=True),
    )
    for arrival in range(12):
        world.submit(workload(f"a{arrival}", "a", 1, 9, arrival), workload(f"b{arrival}", "b", 1, 0, arrival + 100))
    world.calm()
    assert sorted(uid[0] for uid in world.running()) == ["a"] * 4 + ["b"] * 8, "twice the weight, twice the share"


def test_under_fair_sharing_the_smaller_share_goes_first_whatever_the_priority():
    world = World(cohort("root", 4), queue("a", 0, "root"), queue("b", 0, "root"), rules=Rules(fair_sharing=True))
    world.submit(workload("a1", "a", 2, 0, 1))
    world.settle()
    world.submit(workload("a2", "a", 2, 9, 2), workload("b1", "b", 2, 0, 3))
    world.settle()
    assert world.running() == {"a1", "b1"}


def test_fair_sharing_evens_out_what_came_first():
    world = World(
        cohort("root", 9), *(queue(n, 0, "root", preemption=RECLAIM) for n in "abd"), rules=Rules(fair_sharing=True)
    )
    for name in "abd":
        world.submit(*(workload(f"{name}{i}", name, 1, arrival=i) for i in range(9)))
        world.calm()
    running = sorted(uid[0] for uid in world.running())
    assert [running.count(name) for name in "abd"] == [3, 3, 3]


def test_one_that_wants_to_grow_does_not_take_the_turn_of_its_queues_head():
    world = World(cohort("root", 4), queue("a", 0, "root"), rules=Rules(fair_sharing=True))
    world.submit(workload("grows", "a", 1, arrival=1, pods=3))
    world.settle()
    world.submit(reported(world.book.workloads["grows"], True, {}, {"main": 9}, world.now))
    world.submit(workload("head", "a", 1, arrival=2))
    world.settle()
    assert world.running() == {"grows", "head"}


def test_only_the_strategies_asked_for_are_used():
    """With the final share alone nobody takes what would turn the tables."""
    for strategies, expected in (((FairStrategy.FINAL_SHARE,), {"a1"}), ((FairStrategy.INITIAL_SHARE,), {"b1"})):
        rules = Rules(fair_sharing=True, fair_strategies=strategies)
        world = World(cohort("root", 9), *(queue(n, 0, "root", preemption=RECLAIM) for n in "ab"), rules=rules)
        world.submit(workload("a1", "a", 9, arrival=1))
        world.settle()
        world.submit(workload("b1", "b", 5, arrival=2))
        world.calm()
        assert world.running() == expected


# Preemption


def test_as_few_as_will_do_leave_and_of_the_lowest_priority_the_latest():
    world = World(queue("a", 10, preemption=RECLAIM))
    world.submit(*(workload(f"p{i}", "a", 2, priority=i // 2, arrival=i) for i in range(5)))
    world.settle()
    world.submit(workload("high", "a", 3, priority=9, arrival=9))
    world.calm()
    assert world.evictions() == [("p1", "high"), ("p0", "high")]


def test_whoever_runs_within_its_queues_own_quota_is_not_reclaimed_though_its_queue_borrows():
    world = World(queue("a", 4, "c", preemption=RECLAIM), queue("b", 4, "c"))
    world.submit(workload("own", "b", 4, 5, 1), workload("borrowed", "b", 4, 0, 2))
    world.settle()
    world.submit(workload("a1", "a", 4, 0, 3))
    world.calm()
    assert world.evictions() == [("borrowed", "a1")]


def test_borrow_within_cohort_takes_from_lower_priorities_up_to_the_threshold():
    rules = Preemption(Policy.NEVER, Policy.LOWER_PRIORITY, Policy.LOWER_PRIORITY, max_priority_threshold=1)
    world = World(cohort("c", 8), queue("a", 0, "c", preemption=rules), queue("b", 0, "c"))
    world.submit(workload("b1", "b", 4, 1, 1), workload("b2", "b", 4, 2, 2))
    world.settle()
    world.submit(workload("a1", "a", 4, 9, 3), workload("a2", "a", 4, 9, 4))
    world.calm()
    assert world.evictions() == [("b1", "a1")]


# Admission checks, stops, time


def test_with_checks_quota_is_reserved_first_and_it_starts_when_all_are_ready():
    world = World(queue("a", 4, checks=(CheckRule("budget"), CheckRule("other", ("spot",)))))
    world.submit(workload("w", "a", 4, arrival=1), workload("x", "a", 4, arrival=2))
    assert [type(d) for d in world.settle()] == [Reserve, type(world.said[-1])]
    world.submit(replace(world.book.workloads["w"], checks={"budget": CheckState.READY}))
    assert [type(d) for d in world.settle()] == [Admit]
    assert world.book.workloads["w"].admission.admitted_at == world.now - 1


def test_a_check_that_rejects_deactivates_and_one_that_asks_to_retry_backs_off():
    world = World(queue("a", 4, checks=(CheckRule("budget"),)))
    world.submit(workload("w", "a", 4, arrival=1))
    world.settle()
    world.submit(replace(world.book.workloads["w"], checks={"budget": CheckState.RETRY}))
    world.settle()
    assert not world.running()
    world.now = world.book.workloads["w"].requeue_at
    world.settle()
    assert world.running() == {"w"}
    world.submit(replace(world.book.workloads["w"], checks={"budget": CheckState.REJECTED}))
    world.settle()
    assert not world.book.workloads["w"].active
    assert world.reason("w") == Reason.DEACTIVATED


def test_hold_keeps_the_running_and_drain_evicts_them():
    world = World(queue("a", 4))
    world.submit(workload("w", "a", 2, arrival=1))
    world.settle()
    world.book.put_queue(queue("a", 4, stop=Stop.HOLD))
    world.submit(workload("x", "a", 2, arrival=2))
    world.settle()
    assert world.running() == {"w"}
    assert world.reason("x") == "ClusterQueue a is stopped"
    world.book.put_local_queue(LocalQueue("team", "a", "a", Stop.HOLD_AND_DRAIN))
    world.calm()
    assert world.evictions() == [("w", None)]
    world.book.put_queue(queue("a", 4))
    world.book.put_local_queue(LocalQueue("team", "a", "a"))
    world.settle()
    assert world.running() == {"w", "x"}


def test_a_namespace_selector_keeps_others_out():
    only = (Requirement("team", "In", ("ml",)),)
    world = World(queue("a", 4, namespaces=only))
    world.submit(workload("w", "a", 2))
    world.settle()
    assert world.reason("w") == "ClusterQueue a does not take workloads of namespace team"
    world.book.put_namespace("team", {"team": "ml"})
    world.settle()
    assert world.running() == {"w"}


def test_pods_that_do_not_become_ready_go_back_with_growing_pauses_and_at_last_for_good():
    world = World(queue("a", 4), rules=Rules(pods_ready_ms=1000, requeue_base_ms=10_000, requeue_limit=2))
    world.submit(workload("w", "a", 4, arrival=1), workload("x", "a", 4, arrival=2))
    pauses = []
    for attempt in range(3):
        world.settle()
        assert "w" in world.running()
        world.now += 1000
        world.settle()
        world.leave("w")
        pauses.append(world.book.workloads["w"].requeue_at - world.now)
        world.settle()
        assert world.running() == ({"x"} if attempt == 0 else set()), "others go on meanwhile"
        world.book.remove_workload("x")
        world.now = world.book.workloads["w"].requeue_at
    assert 9_000 < pauses[0] < 10_001 and 19_000 < pauses[1] < 20_001
    assert not world.book.workloads["w"].active


def test_pods_that_were_ready_are_not_called_back():
    world = World(queue("a", 4), rules=Rules(pods_ready_ms=1000))
    world.submit(workload("w", "a", 4))
    world.settle()
    world.submit(reported(world.book.workloads["w"], True, {}, {}, world.now))
    world.now += 10_000
    assert world.settle() == []


def test_a_run_ends_at_its_maximum_and_evictions_do_not_start_the_clock_anew():
    world = World(queue("a", 4, preemption=RECLAIM))
    world.submit(workload("w", "a", 4, max_execution_ms=10_000))
    world.settle()
    world.now = 6000
    world.submit(workload("high", "a", 4, priority=1))
    world.settle()
    world.leave("w")
    world.settle()
    world.book.remove_workload("high")
    world.settle()
    world.now += 4100
    world.settle()
    assert world.reason("w") == Reason.MAXIMUM_EXECUTION_TIME
    assert not world.book.workloads["w"].active


# Counts


def test_partial_admission_starts_with_as_many_pods_as_fit():
    world = World(queue("a", 10))
    world.submit(workload("w", "a", 1, pod_sets=(PodSet("main", 20, {"cpu": 2}, min_count=3),)))
    world.settle()
    assert world.book.workloads["w"].admission.assignments[0].count == 5


def test_all_or_nothing_without_a_least_count():
    world = World(queue("a", 10))
    world.submit(workload("w", "a", 3, pods=4), workload("v", "a", 10, arrival=1))
    world.settle()
    assert world.running() == {"v"}


def test_pods_that_are_over_free_their_quota_and_said_twice_they_free_it_once():
    world = World(queue("a", 4))
    world.submit(workload("w", "a", 1, arrival=1, pods=4), workload("x", "a", 1, arrival=2, pods=2))
    world.settle()
    for _ in range(2):
        world.submit(reported(world.book.workloads["w"], True, {"main": 1}, {}, world.now))
        world.settle()
        assert world.running() == {"w"}
    world.submit(reported(world.book.workloads["w"], True, {"main": 2}, {}, world.now))
    world.settle()
    assert world.running() == {"w", "x"}


def test_an_elastic_workload_shrinks_at_once_and_grows_when_there_is_room():
    world = World(queue("a", 6))
    world.submit(workload("w", "a", 1, arrival=1, pods=4), workload("x", "a", 1, arrival=2, pods=2))
    world.settle()
    world.submit(reported(world.book.workloads["w"], True, {}, {"main": 6}, world.now))
    assert world.settle() == [], "no room, and nobody leaves for it"
    world.book.remove_workload("x")
    (grown,) = world.settle()
    assert isinstance(grown, Update) and grown.admission.assignments[0].count == 6
    world.submit(reported(world.book.workloads["w"], True, {}, {"main": 1}, world.now))
    (shrunk,) = world.settle()
    assert shrunk.admission.assignments[0].count == 1
    assert world.book.node("a").usage == {("default", "cpu"): 1}


def test_who_loses_to_somebody_that_starts_beside_it_preempts_him_later_in_the_same_turn():
    """The nearer lender goes first, whatever the priority; nobody can be preempted in the cycle in which he starts."""
    reclaims = Preemption(Policy.NEVER, Policy.LOWER_PRIORITY, Policy.LOWER_PRIORITY)
    near = [queue("a", 8, "side", preemption=reclaims), queue("b", 0, "side")]
    world = World(cohort("root"), cohort("side", parent="root"), queue("c", 4, "root"), *near)
    world.submit(workload("low", "b", 8, priority=1, arrival=1), workload("high", "a", 9, priority=2, arrival=2))
    world.settle()
    assert world.evictions() == [("low", "high")]
    world.calm()
    assert world.running() == {"high"}


def test_who_holds_quota_and_sinks_in_the_order_is_preempted_by_who_waits():
    world = World(queue("q", 4, preemption=Preemption(Policy.LOWER_PRIORITY)))
    world.submit(workload("runs", "q", 4, priority=5, arrival=1), workload("waits", "q", 4, priority=3, arrival=2))
    world.settle()
    assert world.running() == {"runs"}
    world.submit(replace(world.book.workloads["runs"], priority=1))
    world.settle()
    assert world.evictions() == [("runs", "waits")]
    world.calm()
    assert world.running() == {"waits"}
