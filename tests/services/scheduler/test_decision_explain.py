"""Answers to "why does it wait" and "what if": exact, checked by doing what they say."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain.explain import explain, what_if
from services.scheduler.domain.model import LocalQueue, Stop, Strategy
from tests.services.scheduler.test_decision_stories import Story, stories, usage
from tests.services.scheduler.worlds import RECLAIM, World, queue, workload


def test_who_waits_is_told_its_place_and_whose_end_would_help():
    world = World(queue("a", 10))
    world.submit(workload("long", "a", 6000, arrival=1), workload("short", "a", 2000, arrival=2))
    world.book.put_queue(queue("a", 10_000))
    world.settle()
    world.submit(workload("next", "a", 7000, arrival=3), workload("last", "a", 9000, arrival=4))
    world.settle()
    told = explain(world.book, "next")
    assert (told.state, told.position, told.waiting) == ("Waiting", 1, 2)
    assert told.blockers.alone == ("long",)
    assert told.sentences == (
        "It waits in place 1 of 2 in queue a.",
        "It asks for 7 cpu of flavor default; 2 cpu is free.",
        "It fits when any one of these finishes: Job team/long.",
    )
    told = explain(world.book, "last")
    assert (told.position, told.ahead, told.blockers.together) == (2, ("next",), ("long", "short"))


def test_one_that_can_never_start_is_told_to_change_something():
    world = World(queue("a", 1000))
    world.submit(workload("giant", "a", 5000))
    world.settle()
    told = explain(world.book, "giant")
    assert told.reasons == ("asks for 5 cpu of flavor default; its queue can never have more than 1 cpu",)
    assert told.sentences[-1] == "It cannot start whoever finishes; change the workload or the queue."


def test_in_a_strict_queue_the_one_in_front_is_named():
    world = World(queue("a", 10, strategy=Strategy.STRICT_FIFO))
    world.submit(
        workload("r", "a", 5, arrival=1), workload("big", "a", 9, arrival=2), workload("tiny", "a", 1, arrival=3)
    )
    world.settle()
    told = explain(world.book, "tiny")
    assert told.position == 2
    assert "The queue is strict: Job team/big has to start first." in told.sentences


def test_every_state_has_its_words():
    world = World(queue("a", 10, "c", preemption=RECLAIM), queue("b", 0, "c"))
    world.submit(workload("b1", "b", 8, arrival=1))
    world.settle()
    assert explain(world.book, "b1").state == "Admitted"
    world.submit(workload("a1", "a", 9, arrival=2), workload("lost", "nowhere", 1))
    world.settle()
    assert explain(world.book, "b1").state == "Leaving"
    assert explain(world.book, "a1").awaits == ("b1",)
    assert explain(world.book, "lost").sentences == ("LocalQueue nowhere does not exist in namespace team.",)
    assert explain(world.book, "nobody").state == "Unknown"
    world.submit(workload("s", "a", 1, suspended=True), workload("i", "a", 1, active=False))
    assert [explain(world.book, uid).state for uid in ("s", "i")] == ["Suspended", "Inactive"]
    world.submit(workload("r", "a", 1, requeue_at=10**6, requeues=2))
    assert explain(world.book, "r").state == "BackingOff"
    world.book.put_queue(queue("a", 10, "c", stop=Stop.HOLD))
    world.submit(workload("h", "a", 1))
    assert "ClusterQueue a is stopped" in explain(world.book, "h").reasons


def test_a_forecast_names_flavors_counts_and_victims():
    world = World(queue("a", {"fast": 4, "slow": 8}, "c", preemption=RECLAIM), flavors=("fast", "slow"))
    free = what_if(world.book, workload("new", "a", 2, pods=3))
    assert free.starts and free.flavors == {"main": {"cpu": "slow"}} and free.counts == {"main": 3}
    assert free.sentences == ("It would start at once: 3 main on slow.",)
    world.submit(workload("low", "a", 4, arrival=1), workload("mid", "a", 8, priority=5, arrival=2))
    world.settle()
    assert what_if(world.book, workload("new", "a", 3, priority=1)).preempts == ("low",)
    assert not what_if(world.book, workload("new", "a", 3)).preempts


@given(stories, st.integers(5, 40))
@settings(max_examples=40, deadline=None)
def test_what_a_forecast_promises_happens(story: Story, length: int):
    for _ in range(length):
        story.move()
    world = story.world
    world.calm()
    before = usage(world.book)
    one = workload(
        "new", f"q{story.chance.randint(0, 2)}", story.chance.randint(1, 6), story.chance.randint(0, 3), 10**6
    )
    told = what_if(world.book, one)
    assert usage(world.book) == before, "asking changes nothing"
    known = len(world.evictions())
    world.submit(one)
    world.settle()
    assert ("new" in world.running()) == told.starts
    assert tuple(uid for uid, by in world.evictions()[known:] if by == "new") == told.preempts


@given(stories, st.integers(5, 40))
@settings(max_examples=40, deadline=None)
def test_whoever_is_named_as_a_blocker_is_one(story: Story, length: int):
    """Let exactly them finish and it fits; leave any one of them running and it does not."""
    for _ in range(length):
        story.move()
    world = story.world
    world.calm()
    waiting = [uid for state in world.book.states.values() if state.spec for uid in state.line]
    for uid in waiting[:3]:
        told = explain(world.book, uid).blockers
        groups = [(one,) for one in told.alone[:2]] or ([told.together] if told.together else [])
        for group in groups:
            held = [world.book.workloads[other] for other in group]
            for other in group:
                world.book.remove_workload(other)
            fits = any(
                "It fits" in s or "start at once" in s
                for s in what_if(world.book, replace(world.book.workloads[uid])).sentences
            )
            strict = world.book.states[world.book.home(world.book.workloads[uid])].line.strict
            assert fits or strict
            for other in held:
                world.submit(other)


def test_who_runs_in_namespaces_that_the_asker_may_not_see_is_counted_and_not_named():
    world = World(queue("a", 2))
    world.book.put_local_queue(LocalQueue("other", "a", "a"))
    world.submit(workload("mine", "a", 1), replace(workload("theirs", "a", 1), namespace="other"))
    world.settle()
    world.submit(workload("next", "a", 2, arrival=2))
    world.settle()
    told = explain(world.book, "next", {"team"}.__contains__)
    assert "It fits when these finish: Job team/mine and a workload of another team." in told.sentences
    assert "other/theirs" in str(explain(world.book, "next").sentences)
    assert "theirs" not in str(what_if(world.book, world.book.workloads["next"], {"team"}.__contains__).sentences)
