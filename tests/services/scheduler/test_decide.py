"""The queue's rules, told as properties over any workloads and any order of facts."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain.decide import Admit, Queue, decide, queue, room
from services.scheduler.domain.workloads import Demand, Phase, Workload

demands = st.builds(Demand, st.integers(0, 4000), st.integers(0, 8 * 2**30))
phases = st.sampled_from([Phase.WAITING, Phase.ADMITTED, Phase.PARKED, Phase.OVER])
workload_lists = st.lists(
    st.builds(Workload, st.uuids().map(str), demand=st.none() | demands, phase=phases, arrival=st.integers(1, 50)),
    max_size=12,
    unique_by=lambda w: w.uid,
)
HUGE = Demand(10**9, 2**60)


def _used(workloads: list[Workload]) -> Demand:
    return sum((w.demand or Demand() for w in workloads if w.phase is Phase.ADMITTED), Demand())


def _after(capacity: Demand, workloads: list[Workload]) -> list[Workload]:
    admitted = {d.uid for d in decide(capacity, workloads) if isinstance(d, Admit)}
    return [w.admit() if w.uid in admitted else w for w in workloads]


@given(demands, workload_lists)
def test_new_admissions_never_exceed_the_capacity(capacity: Demand, workloads: list[Workload]):
    before, after = _used(workloads), _used(_after(capacity, workloads))
    if after != before:
        assert after.fits(capacity)


@given(demands, workload_lists)
def test_nobody_overtakes_a_workload_that_could_run_some_day(capacity: Demand, workloads: list[Workload]):
    blocked = False
    for decision, workload in zip(decide(capacity, workloads), queue(workloads), strict=True):
        assert decision.uid == workload.uid
        if isinstance(decision, Admit):
            assert not blocked
        else:
            blocked = blocked or workload.demand.fits(capacity)


@given(workload_lists)
def test_with_room_for_all_every_waiting_workload_of_known_demand_starts(workloads: list[Workload]):
    decisions = decide(HUGE, workloads)
    assert all(isinstance(decision, Admit) for decision in decisions)
    assert len(decisions) == len([w for w in workloads if w.phase is Phase.WAITING and w.demand is not None])


@given(demands, workload_lists)
def test_a_decision_carried_out_is_not_taken_again(capacity: Demand, workloads: list[Workload]):
    after = _after(capacity, workloads)
    assert not any(isinstance(decision, Admit) for decision in decide(capacity, after))


@given(demands, workload_lists)
def test_every_end_gives_its_whole_share_back(capacity: Demand, workloads: list[Workload]):
    assert room(capacity, [w.end() for w in workloads]) == capacity


def test_a_workload_beyond_all_there_is_waits_with_a_reason_and_lets_others_pass():
    giant = Workload("a", demand=Demand(8000, 0), phase=Phase.WAITING, arrival=1)
    small = Workload("b", demand=Demand(1000, 0), phase=Phase.WAITING, arrival=2)
    told = decide(Demand(2000, 2**30), [giant, small])
    assert told == [
        Queue("a", 1, "asks for 8 cpu and 0 GiB of memory; all there is are 2 cpu and 1 GiB of memory"),
        Admit("b"),
    ]


def test_the_queue_tells_who_waits_for_room_and_who_waits_for_others():
    running = Workload("r", demand=Demand(2000, 0), phase=Phase.ADMITTED, arrival=1)
    first = Workload("a", demand=Demand(1000, 0), phase=Phase.WAITING, arrival=2)
    second = replace(first, uid="b", arrival=3)
    reasons = [(d.position, d.reason) for d in decide(Demand(2000, 2**30), [second, running, first])]
    assert reasons == [
        (1, "asks for 1 cpu and 0 GiB of memory; 0 cpu and 1 GiB of memory are free"),
        (2, "1 in front of it in the queue"),
    ]


ONE = Demand(1000, 2**20)
FACTS = {
    "created": lambda w: w.ask(ONE, suspended=False, generation=1, arrival=7),
    "suspended": lambda w: w.wish(suspended=True, generation=2),
    "resumed": lambda w: w.wish(suspended=False, generation=3),
    "deleted": lambda w: w.end(),
}


def _final(names: tuple[str, ...]) -> Workload:
    workload = Workload("u")
    for name in names:
        workload = FACTS[name](workload)
    return workload


def test_the_order_in_which_facts_arrive_does_not_change_where_a_workload_ends():
    alive = {_final(order).phase for order in permutations(["created", "suspended", "resumed"])}
    assert alive == {Phase.WAITING}
    assert {_final(order).phase for order in permutations(["created", "suspended"])} == {Phase.PARKED}
    assert {_final(order).phase for order in permutations(FACTS)} == {Phase.OVER}


@given(st.permutations([*FACTS, *FACTS]))
@settings(max_examples=60)
def test_facts_that_come_twice_change_nothing(order: list[str]):
    once = tuple(dict.fromkeys(order))
    assert _final(tuple(order)) == replace(_final(once), arrival=_final(tuple(order)).arrival)


def test_asking_again_does_not_take_an_admission_back_nor_a_place_in_the_queue():
    admitted = FACTS["created"](Workload("u")).admit()
    again = admitted.ask(ONE, suspended=False, generation=1, arrival=99)
    assert (again.phase, again.arrival) == (Phase.ADMITTED, 7)


def test_a_demand_that_follows_makes_a_workload_ready_to_be_decided():
    unknown = Workload("u").ask(None, suspended=False, generation=1, arrival=1)
    assert decide(HUGE, [unknown]) == []
    assert decide(HUGE, [unknown.ask(ONE, suspended=False, generation=1, arrival=2)]) == [Admit("u")]
