"""No preemption without end: Kueue's public loop cases by their numbers, and any small world that chance builds."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain.model import Policy, Preemption, Rules
from services.scheduler.domain.preempt import PATIENCE
from tests.services.scheduler.worlds import RECLAIM, World, cohort, gone, queue, workload

ANY_LOWER = Preemption(Policy.LOWER_PRIORITY, Policy.ANY, Policy.LOWER_PRIORITY)
FAIR = Rules(fair_sharing=True)


def test_kueue_3779_a_queue_beyond_its_share_does_not_evict_best_effort_again_and_again():
    """A tenant over its nominal quota wants more; best effort has the smaller share and keeps its place."""
    world = World(
        cohort("root"),
        queue("tenant-a", 150, "root", preemption=ANY_LOWER),
        queue("tenant-b", 150, "root", preemption=ANY_LOWER),
        queue("best-effort", 0, "root"),
        rules=FAIR,
    )
    world.submit(workload("a1", "tenant-a", 250, priority=100, arrival=1))
    world.settle()
    world.submit(workload("b1", "best-effort", 50, priority=1, arrival=2))
    world.settle()
    world.submit(workload("a2", "tenant-a", 50, priority=100, arrival=3))
    world.calm()
    assert world.running() == {"a1", "b1"}
    assert world.evictions() == []


def test_kueue_3779_in_a_hierarchy_the_guaranteed_get_their_own_and_then_there_is_peace():
    world = World(
        cohort("root"),
        cohort("guaranteed-cohort", 300, "root"),
        queue("guaranteed", 0, "guaranteed-cohort", preemption=ANY_LOWER),
        queue("effort-a", 0, "root"),
        queue("effort-b", 0, "root"),
        rules=FAIR,
    )
    efforts = [("a1", "effort-a", 100), ("a2", "effort-a", 100), ("b1", "effort-b", 50), ("b2", "effort-b", 50)]
    for arrival, (uid, home, cpu) in enumerate(efforts):
        world.submit(workload(uid, home, cpu, priority=1, arrival=arrival))
        world.settle()
    world.submit(workload("g1", "guaranteed", 50, priority=100, arrival=10))
    world.calm()
    world.submit(workload("g2", "guaranteed", 100, priority=100, arrival=11))
    world.calm()
    assert {"g1", "g2"} <= world.running()
    assert len(world.evictions()) <= 3


def test_kueue_7101_the_gang_that_fits_its_share_starts_and_the_next_one_does_not_flap():
    world = World(
        cohort("root", 8),
        queue("proj-1", 0, "root", preemption=RECLAIM),
        queue("proj-2", 0, "root", preemption=RECLAIM),
        rules=FAIR,
    )
    world.submit(*(workload(f"one-{i}", "proj-1", 1, arrival=i, pods=2) for i in range(4)))
    world.settle()
    for arrival, pods in enumerate((6, 5, 4), start=10):
        world.submit(workload(f"two-{pods}", "proj-2", 1, arrival=arrival, pods=pods))
        world.calm()
    assert world.running() == {"one-0", "one-1", "two-4"}, "from 8:0 to 4:4, not further"
    evicted = len(world.evictions())
    world.submit(workload("two-3", "proj-2", 1, arrival=20, pods=3))
    world.calm()
    assert len(world.evictions()) == evicted


def test_kueue_14543_whom_a_spared_victim_of_the_own_queue_made_legal_is_spared_too():
    """Evicting in its own queue lowers the preemptor's share, which makes others legal; if the own ones turn out to be
    needless and are spared, the others are not legal any more."""
    world = World(
        cohort("root", 12),
        queue("mine", 0, "root", preemption=Preemption(Policy.LOWER_PRIORITY, Policy.ANY)),
        queue("theirs", 0, "root", preemption=Preemption(Policy.LOWER_PRIORITY, Policy.ANY)),
        rules=FAIR,
    )
    world.submit(
        workload("mine-low-1", "mine", 1, arrival=1),
        workload("mine-low-2", "mine", 4, arrival=2),
        workload("theirs-1", "theirs", 7, arrival=3),
    )
    world.settle()
    world.submit(workload("mine-high", "mine", 5, priority=10, arrival=4))
    world.calm()
    world.submit(workload("theirs-2", "theirs", 2, priority=10, arrival=5))
    world.calm()
    assert len(world.evictions()) <= 4


def test_kueue_13662_a_victim_that_left_early_does_not_get_its_room_back_before_the_preemptor():
    world = World(queue("a", 10, "c", preemption=RECLAIM), queue("b", 0, "c", preemption=RECLAIM))
    world.submit(workload("b1", "b", 5, 100, 1), workload("b2", "b", 5, 100, 2))
    world.settle()
    world.submit(workload("a1", "a", 10, 0, 3))
    world.settle()
    world.leave("b1")
    assert not any(uid == "b1" for uid in [d.uid for d in world.settle() if type(d).__name__ == "Admit"])
    world.leave("b2")
    world.settle()
    assert world.running() == {"a1"}
    assert len(world.evictions()) == 2


def test_kueue_6947_a_large_workload_that_cannot_start_does_not_keep_a_smaller_one_from_reclaiming():
    world = World(queue("a", 3, "c", preemption=RECLAIM), queue("b", 0, "c"))
    world.submit(workload("small", "b", 1, arrival=1))
    world.settle()
    world.submit(workload("four", "a", 4, arrival=2), workload("three", "a", 3, arrival=3))
    world.calm()
    assert world.running() == {"three"}
    assert world.evictions() == [("small", "three")]


def test_kueue_2821_the_lower_priority_does_not_come_back_before_the_one_it_made_room_for():
    lower = Preemption(Policy.LOWER_PRIORITY, Policy.ANY, Policy.LOWER_PRIORITY)
    world = World(queue("a", 0, "all", preemption=lower), queue("b", 5, "all", preemption=lower), queue("c", 5, "all"))
    world.submit(workload("b1", "b", 5, 100, 1), workload("a1", "a", 4, 0, 2))
    world.settle()
    world.submit(workload("b2", "b", 4, 100, 3))
    world.calm()
    assert world.running() == {"b1", "b2"}
    assert world.evictions() == [("a1", "b2")]


def test_two_large_workloads_of_two_queues_do_not_take_turns():
    """Each is larger than its queue's own quota and more important than its neighbours; by policy alone each would
    evict those, be reclaimed from by the other queue's, and so on for ever."""
    world = World(queue("a", 10, "c", preemption=RECLAIM), queue("b", 10, "c", preemption=RECLAIM))
    for name in "ab":
        world.submit(workload(f"{name}-big", name, 12, 100, 1))
        world.submit(workload(f"{name}-1", name, 5, 0, 2), workload(f"{name}-2", name, 5, 0, 3))
    world.calm()
    assert len(world.evictions()) < 30


policies = st.sampled_from([Policy.LOWER_PRIORITY, Policy.LOWER_OR_NEWER_EQUAL_PRIORITY, Policy.NEVER])
preemptions = st.builds(
    Preemption,
    policies,
    st.sampled_from([Policy.ANY, Policy.ANY, Policy.LOWER_PRIORITY]),
    st.sampled_from([Policy.NEVER, Policy.LOWER_PRIORITY]),
    st.none() | st.integers(0, 2),
)


@st.composite
def worlds(draw) -> World:
    """A tree of one to three cohorts, two to four queues that want more than there is, all there from the beginning."""
    chance = Random(draw(st.integers(0, 10**9)))
    cohorts = [cohort("root", chance.choice([0, 0, 4, 10]))]
    for i in range(chance.choice([0, 0, 1, 2])):
        cohorts.append(cohort(f"c{i}", chance.choice([0, 4, 8]), chance.choice(cohorts).name))
    queues = [
        queue(
            f"q{i}",
            chance.choice([0, 3, 5, 10]),
            chance.choice(cohorts).name,
            preemption=draw(preemptions),
            fair_weight=chance.choice([1000, 1000, 500, 0]),
        )
        for i in range(chance.randint(2, 4))
    ]
    world = World(*cohorts, *queues, rules=Rules(fair_sharing=draw(st.booleans())))
    for i in range(chance.randint(4, 14)):
        home, priority = chance.choice(queues).name, chance.choice([0, 0, 1, 2, 5])
        world.submit(workload(f"w{i}", home, chance.randint(1, 12), priority, chance.randint(0, 5)))
        if chance.random() < 0.6:
            world.settle()
    return world


@given(worlds())
@settings(max_examples=150, deadline=None)
def test_a_fixed_set_of_workloads_comes_to_rest(world: World):
    world.calm()
    count = len(world.book.workloads)
    assert len(world.evictions()) <= 2 * count * count


@given(worlds(), st.integers(0, 10**9).map(Random))
@settings(max_examples=80, deadline=None)
def test_it_comes_to_rest_in_whatever_order_the_evicted_leave(world: World, chance):
    for _ in range(400):
        world.settle()
        leaving = list(world.book.leaving)
        if not leaving:
            break
        world.leave(chance.choice(leaving))
    assert not world.book.leaving


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_nobody_evicts_one_who_evicted_it_before(world: World):
    """Two workloads never take turns: in a fixed set each pair moves at most a few times, however often others do."""
    world.calm()
    pairs = world.evictions()
    for victim, by in pairs:
        assert pairs.count((victim, by)) <= PATIENCE + 1


def test_the_finished_end_is_the_end():
    world = World(queue("a", 10))
    world.submit(workload("a1", "a", 10, arrival=1), workload("a2", "a", 10, arrival=2))
    world.settle()
    world.book.remove_workload("a1")
    world.settle()
    assert world.running() == {"a2"}
    assert gone(world.book.workloads["a2"], 5).admission is None
