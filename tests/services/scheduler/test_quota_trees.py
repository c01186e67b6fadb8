"""The quota trees after any story of changes are those that grow from the configuration as it is now."""

import random

import pytest

from services.scheduler.domain import cohorts as forests
from services.scheduler.domain.book import Book
from services.scheduler.domain.cohorts import Forest
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.model import ClusterQueue, Cohort, FlavorQuotas, Quota, ResourceGroup
from services.scheduler.domain.quota import QuotaNode

COHORTS, QUEUES, CPU = ("", "a", "b", "c", "d"), ("a", "q", "r", "s", "t"), ("machines", "cpu")


def quota(chance: random.Random) -> tuple[ResourceGroup, ...]:
    limits = [None if chance.random() < 0.5 else chance.randrange(10) for _ in range(2)]
    given = FlavorQuotas("machines", {"cpu": Quota(chance.randrange(10), *limits)})
    return (ResourceGroup(("cpu",), (given,)),)


def changed(book: Book, chance: random.Random) -> None:
    """One change of the configuration, or of what a queue's workloads use."""
    name, cohort, parent = chance.choice(QUEUES), chance.choice(COHORTS[1:]), chance.choice(COHORTS)
    match chance.randrange(6):
        case 0 | 1:
            book.put_queue(ClusterQueue(name, quota(chance), cohort=chance.choice(COHORTS)))
        case 2:
            book.remove_queue(name)
        case 3:
            book.put_cohort(Cohort(cohort, parent, quota(chance) if chance.random() < 0.5 else ()))
        case 4:
            book.remove_cohort(cohort)
        case 5:
            book.move(Holding(name, {CPU: chance.randrange(5)}), +1)


def shown(node: QuotaNode) -> tuple[object, ...]:
    above = node.parent.name if node.parent else ""
    below = [(child.name, child.queue) for child in node.children]
    amounts = [{fr: amount for fr, amount in each.items() if amount} for each in (node.subtree, node.local, node.usage)]
    return node.name, above, below, node.root.name, node.height, *amounts


def told(forest: Forest) -> tuple[object, ...]:
    inner, leaves = ({name: shown(node) for name, node in n.items()} for n in (forest.cohorts, forest.queues))
    return inner, leaves, forest.cyclic


@pytest.mark.parametrize("seed", range(100))
def test_a_change_leaves_the_trees_as_if_all_were_grown_anew(seed: int) -> None:
    book, chance = Book(), random.Random(seed)
    for _ in range(40):
        changed(book, chance)
        if chance.random() < 0.6:
            specs = {name: state.spec for name, state in book.states.items() if state.spec is not None}
            usage = {name: dict(state.usage) for name, state in book.states.items()}
            assert told(book.forest) == told(forests.grow(specs, book.cohorts, usage))


def test_a_change_touches_no_other_tree() -> None:
    book = Book()
    for name in ("left", "right"):
        book.put_cohort(Cohort(name))
        book.put_queue(ClusterQueue(f"{name}-queue", cohort=name))
    before = book.forest.cohorts["right"]
    book.put_queue(ClusterQueue("left-queue", quota(random.Random(1)), cohort="left"))
    assert book.forest.cohorts["right"] is before
