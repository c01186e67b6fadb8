"""Where pods go: one rack if asked for, tight, even or anywhere; nodes that fail; never more on a node than it has."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain.model import (
    Evict,
    Node,
    PodSet,
    Reason,
    ResourceFlavor,
    Taint,
    Topology,
    TopologyRequest,
    Update,
)
from tests.services.scheduler.worlds import RECLAIM, World, queue, workload

BLOCK, RACK, HOST = "block", "rack", "kubernetes.io/hostname"


def node(name: str, block: str, rack: str, cpu: int = 4, **rest) -> Node:
    return Node(name, {"pool": "x", BLOCK: block, RACK: rack, HOST: name}, {"cpu": cpu}, **rest)


def wired(racks: int = 3, hosts: int = 2, cpu: int = 4, quota: int = 1000, **rest) -> World:
    """Two racks a block; hosts are named by block, rack and number: b0-r1-h0."""
    world = World(queue("a", {"tas": quota}, **rest), flavors=("tas",))
    world.book.put_topology(Topology("wires", (BLOCK, RACK, HOST)))
    world.book.put_flavor(ResourceFlavor("tas", {"pool": "x"}, topology="wires"))
    for rack in range(racks):
        for host in range(hosts):
            block = f"b{rack // 2}"
            world.book.put_node(node(f"{block}-r{rack}-h{host}", block, f"{block}-r{rack}", cpu))
    return world


def ask(uid: str, pods: int, cpu: int = 1, mode: str = "required", level: str = RACK, arrival: int = 0, **rest):
    request = TopologyRequest(mode, level, **rest)
    return workload(uid, "a", cpu, arrival=arrival, pod_sets=(PodSet("main", pods, {"cpu": cpu}, topology=request),))


def seats(world: World, uid: str, pod_set: int = 0) -> dict[str, int]:
    topology = world.book.workloads[uid].admission.assignments[pod_set].topology
    return {domain.values[-1]: domain.count for domain in topology}


def racks(world: World, uid: str) -> set[str]:
    return {name.rsplit("-", 1)[0] for name in seats(world, uid)}


def test_required_stays_in_one_rack_and_takes_the_tightest_that_will_do():
    world = wired()
    world.submit(ask("first", 3))
    world.settle()
    world.submit(ask("second", 5, arrival=1))
    world.settle()
    assert racks(world, "second") == racks(world, "first"), "5 of the 5 left there; a whole rack stays free"
    world.submit(ask("wide", 9, arrival=2))
    world.settle()
    assert world.reason("wide") == "needs 9 pods of main in one rack; the roomiest has room for 8"


def test_preferred_goes_wider_only_if_it_must():
    world = wired()
    world.submit(ask("rack", 8, mode="preferred"))
    world.settle()
    assert len(racks(world, "rack")) == 1
    world.submit(ask("block", 10, mode="preferred", arrival=1))
    world.settle()
    assert len(racks(world, "block")) == 2


def test_unconstrained_fills_what_is_begun_and_leaves_whole_nodes_free():
    world = wired()
    world.submit(ask("one", 1, mode="unconstrained", level=""))
    world.settle()
    world.submit(ask("two", 2, mode="unconstrained", level="", arrival=1))
    world.settle()
    assert set(seats(world, "two")) == set(seats(world, "one"))


def test_balanced_loads_its_racks_evenly():
    world = wired(racks=4)
    world.submit(ask("w", 12, mode="balanced"))
    world.settle()
    counts: dict[str, int] = {}
    for name, count in seats(world, "w").items():
        counts[name.rsplit("-", 1)[0]] = counts.get(name.rsplit("-", 1)[0], 0) + count
    assert sorted(counts.values()) == [6, 6], "not 8 and 4"


def test_slices_stay_whole_within_their_level():
    world = wired(racks=2, hosts=2, cpu=3)
    world.submit(ask("w", 8, level=BLOCK, slice_size=2, slice_level=HOST))
    world.settle()
    assert sorted(seats(world, "w").values()) == [2, 2, 2, 2], "a host has room for 3, which is one slice of 2"
    world.submit(ask("odd", 3, level=BLOCK, arrival=1, slice_size=2, slice_level=HOST))
    world.settle()
    assert world.reason("odd") == "3 pods of main are not whole slices of 2"


def test_a_group_of_pod_sets_shares_a_rack():
    world = wired(cpu=3)
    leader, worker = (TopologyRequest("required", RACK, group="g") for _ in range(2))
    sets = (PodSet("leader", 1, {"cpu": 2}, topology=leader), PodSet("worker", 4, {"cpu": 1}, topology=worker))
    world.submit(ask("before", 2), workload("w", "a", 1, arrival=1, pod_sets=sets))
    world.settle()
    both = {*seats(world, "w"), *seats(world, "w", 1)}
    assert len({name.rsplit("-", 1)[0] for name in both}) == 1


def test_pods_are_kept_off_nodes_they_do_not_tolerate_or_select():
    world = wired(racks=1, hosts=2)
    world.book.put_node(node("b0-r0-h0", "b0", "b0-r0", taints=(Taint("bad", "yes"),)))
    world.submit(ask("w", 4))
    world.settle()
    assert seats(world, "w") == {"b0-r0-h1": 4}


def test_room_in_a_rack_is_made_by_preemption_though_quota_is_plenty():
    world = wired(racks=1, hosts=1, preemption=RECLAIM)
    world.submit(ask("low", 4))
    world.settle()
    world.submit(replace(ask("high", 4, arrival=1), priority=1))
    world.calm()
    assert world.evictions() == [("low", "high")] and world.running() == {"high"}


def test_pods_of_a_failed_node_go_elsewhere_in_their_rack():
    world = wired(racks=2, hosts=3)
    world.submit(ask("w", 8))
    world.settle()
    lost = sorted(seats(world, "w"))[0]
    block, rack, _ = lost.split("-")
    world.book.put_node(node(lost, block, f"{block}-{rack}", ready=False))
    (mended,) = world.settle()
    assert isinstance(mended, Update) and mended.message == f"node {lost} failed; its pods go elsewhere"
    assert lost not in seats(world, "w") and sum(seats(world, "w").values()) == 8 and len(racks(world, "w")) == 1


def test_if_there_is_no_other_place_it_is_evicted_and_starts_where_there_is():
    world = wired(racks=2, hosts=2)
    world.submit(ask("w", 8))
    world.settle()
    lost = sorted(seats(world, "w"))[0]
    world.book.remove_node(lost)
    (evicted,) = world.settle()
    assert isinstance(evicted, Evict) and evicted.reason is Reason.NODE_FAILURE
    world.leave("w")
    world.settle()
    assert lost not in seats(world, "w") and len(racks(world, "w")) == 1


def test_two_workloads_of_two_failed_nodes_do_not_get_the_same_place():
    world = wired(racks=1, hosts=3, cpu=2)
    world.submit(ask("v", 2), ask("w", 2, arrival=1))
    world.settle()
    for name in (*seats(world, "v"), *seats(world, "w")):
        world.book.put_node(node(name, "b0", "b0-r0", 2, ready=False))
    world.settle()
    assert len(world.running()) == 1 and len(world.evictions()) == 1


def test_a_flavor_without_a_place_gives_way_to_the_next():
    world = wired(racks=1, hosts=1)
    world.book.put_flavor(ResourceFlavor("other", {"pool": "y"}, topology="wires"))
    world.book.put_node(
        replace(node("far", "b9", "b9-r9", 9), labels={"pool": "y", BLOCK: "b9", RACK: "b9-r9", HOST: "far"})
    )
    world.book.put_queue(queue("a", {"tas": 100, "other": 100}))
    world.submit(ask("w", 6))
    world.settle()
    assert seats(world, "w") == {"far": 6}


def test_a_finished_workload_gives_its_places_back_to_other_cohorts_too():
    world = wired(racks=1, hosts=1)
    world.book.put_queue(queue("other", {"tas": 100}, "elsewhere"))
    world.submit(ask("w", 4))
    world.settle()
    waits = replace(ask("x", 4, arrival=1), queue="other")
    world.book.put_local_queue(replace(world.book.local_queues["team", "a"], name="other", cluster_queue="other"))
    world.submit(waits)
    world.settle()
    assert world.running() == {"w"}
    world.book.remove_workload("w")
    world.settle()
    assert world.running() == {"x"}


MODES = ["required", "preferred", "balanced", "unconstrained"]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3), st.sampled_from(MODES), st.integers(1, 2)), max_size=14),
    st.integers(0, 10**9).map(Random),
)
@settings(max_examples=80, deadline=None)
def test_no_node_is_ever_overfull_and_required_is_one_rack(asks: list, chance):
    world = wired(racks=4, hosts=3)
    for arrival, (slices, cpu, mode, size) in enumerate(asks):
        rest = {"slice_size": size, "slice_level": HOST} if size > 1 else {}
        world.submit(ask(f"w{arrival}", slices * size, cpu, mode, RACK, arrival, **rest))
        world.settle()
        if chance.random() < 0.3 and world.running():
            world.book.remove_workload(chance.choice(sorted(world.running())))
            world.settle()
        used: dict[str, int] = {}
        for uid in world.running():
            one = world.book.workloads[uid].pod_sets[0]
            placed = seats(world, uid)
            assert sum(placed.values()) == one.count
            assert one.topology.mode != "required" or len(racks(world, uid)) == 1
            assert all(count % (one.topology.slice_size or 1) == 0 for count in placed.values())
            for name, count in placed.items():
                used[name] = used.get(name, 0) + count * one.requests["cpu"]
        assert all(cpu <= 4 for cpu in used.values())


@pytest.mark.parametrize("mode", ["required", "preferred"])
def test_an_unknown_level_is_named_with_those_there_are(mode: str):
    world = wired()
    world.submit(ask("w", 1, mode=mode, level="zone"))
    world.settle()
    assert "topology level 'zone' does not exist; the levels are block, rack, kubernetes.io/hostname" in world.reason(
        "w"
    )
