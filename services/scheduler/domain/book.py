"""The scheduler's state in memory, kept up to date change by change: a decision never starts from the beginning.

Facts go in with `put_*` and `remove_*`; each costs about the logarithm of the queue it touches. A change of a queue or
cohort rebuilds the quota tree that it stands in, and no other. The book knows no clock: deadlines are times told to it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping

from services.scheduler.domain import cohorts as forests
from services.scheduler.domain.alike import class_of, order_key
from services.scheduler.domain.deadlines import Deadlines
from services.scheduler.domain.holding import Holding, held_by, is_resized
from services.scheduler.domain.line import Key, Line
from services.scheduler.domain.model import (
    Admission,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Node,
    ResourceFlavor,
    Rules,
    Stop,
    Strategy,
    Topology,
    Workload,
)
from services.scheduler.domain.quota import FlavorResource, QuotaNode
from services.scheduler.domain.topology.fleet import Fleet


class QueueState:
    """One ClusterQueue at work: who waits, who holds its quota, and how much. `spec` is None once it is deleted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: ClusterQueue | None = None
        self.line = Line(strict=False)
        self.usage: dict[FlavorResource, int] = {}
        self.holders: dict[str, Workload] = {}
        self.ranked: list[Key] = []
        """The holders' order keys, so that whoever comes after a given one is found without looking at all."""

    def hold(self, workload: Workload) -> None:
        self.holders[workload.uid] = workload
        insort(self.ranked, order_key(workload))

    def let_go(self, uid: str) -> None:
        key = order_key(self.holders.pop(uid))
        del self.ranked[bisect_left(self.ranked, key)]

    def after(self, key: Key) -> list[str]:
        return [later[2] for later in self.ranked[bisect_right(self.ranked, key) :]]


class Book:
    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.workloads: dict[str, Workload] = {}
        self.states: dict[str, QueueState] = {}
        self.local_queues: dict[tuple[str, str], LocalQueue] = {}
        self.cohorts: dict[str, Cohort] = {}
        self.flavors: dict[str, ResourceFlavor] = {}
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.fleet = Fleet()
        self.deadlines = Deadlines()
        self.homeless: dict[str, str] = {}
        """Waiting workloads whose queue is missing, and why."""
        self.untold: dict[str, None] = {}
        """The homeless that were not yet told so."""
        self.restless: dict[str, None] = {}
        """Holders of quota that the next cycle has to look at: open checks, other counts wanted, deactivated."""
        self.pledged: dict[str, None] = {}
        self.leaving: dict[str, None] = {}
        """Evicted, and their pods not gone yet."""
        self._holdings: dict[str, Holding] = {}
        self._homes: dict[str, str] = {}
        self._forest = forests.Forest()
        self._specs: dict[str, ClusterQueue] = {}
        self._usages: dict[str, dict[FlavorResource, int]] = {}
        self._trees: set[str] = set()
        """Queues and cohorts whose quota trees changed since they were grown."""
        self._homes_changed: set[str] = set()
        """ClusterQueues that came, went, or were given or taken a LocalQueue."""
        self._stops_changed: set[str] = set()
        self._awake: dict[str, None] = {}
        self._freed: dict[str, None] = {}
        self._again: dict[str, None] = {}
        """Who waits, and is tried once more before there is peace."""
        self._nodes_moved = False

    # What is configured

    def put_queue(self, spec: ClusterQueue) -> None:
        state = self._state(spec.name)
        before = state.spec
        if before == spec:
            return
        if before is None or before.strategy is not spec.strategy:
            waiting = list(state.line)
            state.line = Line(strict=spec.strategy is Strategy.STRICT_FIFO)
            self._line_up(state, waiting)
        state.spec = self._specs[spec.name] = spec
        self._trees_changed(spec.name, spec.cohort, before.cohort if before else "")
        self._stops_changed.add(spec.name)
        if before is None:
            self._homes_changed.add(spec.name)

    def remove_queue(self, name: str) -> None:
        """Who holds its quota goes on; who waits, waits for a queue."""
        if name in self.states:
            self.states[name].spec = None
            self._specs.pop(name, None)
            self._trees_changed(name)
            self._homes_changed.add(name)

    def put_local_queue(self, queue: LocalQueue) -> None:
        before = self.local_queues.get((queue.namespace, queue.name))
        if before != queue:
            self.local_queues[queue.namespace, queue.name] = queue
            self._local_changed(queue, before)

    def remove_local_queue(self, namespace: str, name: str) -> None:
        if (before := self.local_queues.pop((namespace, name), None)) is not None:
            self._local_changed(before)

    def put_cohort(self, cohort: Cohort) -> None:
        before = self.cohorts.get(cohort.name)
        if before != cohort:
            self.cohorts[cohort.name] = cohort
            self._trees_changed(cohort.name, cohort.parent, before.parent if before else "")

    def remove_cohort(self, name: str) -> None:
        if (before := self.cohorts.pop(name, None)) is not None:
            self._trees_changed(name, before.parent)

    def put_flavor(self, flavor: ResourceFlavor) -> None:
        if self.flavors.get(flavor.name) != flavor:
            self.flavors[flavor.name] = flavor
            self.fleet.put_flavor(flavor)
            self._everybody_may_try()

    def remove_flavor(self, name: str) -> None:
        self.flavors.pop(name, None)
        self.fleet.remove_flavor(name)
        self._everybody_may_try()

    def put_topology(self, topology: Topology) -> None:
        self.fleet.put_topology(topology)
        self._everybody_may_try()

    def remove_topology(self, name: str) -> None:
        self.fleet.remove_topology(name)
        self._everybody_may_try()

    def put_node(self, node: Node) -> None:
        """`used` and readiness change often, so put it when something did change: everybody tries again."""
        self.fleet.put_node(node)
        self._nodes_changed()

    def remove_node(self, name: str) -> None:
        self.fleet.remove_node(name)
        self._nodes_changed()

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        if self.namespaces.get(name) != labels:
            self.namespaces[name] = dict(labels)
            self._everybody_may_try()

    # What is asked for

    def put_workload(self, workload: Workload) -> None:
        """As it is now, whatever was known of it before."""
        holding, held = held_by(workload), self._holdings.get(workload.uid)
        if holding is not None and holding == held and self._goes_on(workload):
            return
        # One that comes later in the order than before is one that others may now preempt.
        reordered = held is not None and order_key(workload) != order_key(self.workloads[workload.uid])
        self._leave(workload.uid, wake=reordered or (held is not None and held != holding))
        self.workloads[workload.uid] = workload
        if holding is not None:
            self._hold(workload, holding)
        elif workload.active and not workload.suspended and workload.pod_sets:
            self._wait(workload)
        self.deadlines.watch(workload, self.rules)

    def _goes_on(self, workload: Workload) -> bool:
        """It holds what it held, in the same place of the queue: only what is known of it changes. False where more
        has to be thought of."""
        uid, before = workload.uid, self.workloads[workload.uid]
        if workload.admission is None or uid in self.pledged or order_key(workload) != order_key(before):
            return False
        self.workloads[uid] = self.states[self._homes[uid]].holders[uid] = workload
        self.restless.pop(uid, None)
        self.leaving.pop(uid, None)
        self._mark(workload, workload.admission)
        self.deadlines.forget(uid)
        self.deadlines.watch(workload, self.rules)
        return True

    def remove_workload(self, uid: str) -> None:
        """It is over: everything it held is free."""
        self._leave(uid)
        self.workloads.pop(uid, None)

    # What the cycle reads

    @property
    def forest(self) -> forests.Forest:
        self._settle_changes()
        return self._forest

    def node(self, queue: str) -> QuotaNode | None:
        return self.forest.queues.get(queue)

    def look_around(self) -> None:
        """Notice what a change of configuration or of nodes means for those who hold quota."""
        self._settle_changes()
        if self._nodes_moved:
            self._nodes_moved = False
            for uid, holding in self._holdings.items():
                if any(self.fleet.is_lost(place) for place in holding.places) and uid not in self.leaving:
                    self.restless[uid] = None

    def holding(self, uid: str) -> Holding | None:
        return self._holdings.get(uid)

    def home(self, workload: Workload) -> str:
        """The ClusterQueue it waits in or holds quota of; empty if there is none."""
        return self._homes.get(workload.uid, "")

    def heads(self, now: int) -> list[str]:
        """The first workload of every queue that may have got a chance since it was last tried; by queue name."""
        self._settle_changes()
        for uid in self.deadlines.back(now):
            self._return(uid)
        self._wake_freed()
        if not (heads := self._awake_heads()) and self._again:
            self._wake_losers()
            heads = self._awake_heads()
        return heads

    def _awake_heads(self) -> list[str]:
        heads = []
        for name in sorted(self._awake):
            state = self.states[name]
            blocked = state.line.strict and any(uid in self.pledged for uid in state.holders)
            head = None if blocked else state.line.head()
            if head is None:
                del self._awake[name]
            else:
                heads.append(head)
        return heads

    def move(self, holding: Holding, sign: int) -> None:
        """Count what is held (+1) or give it back (-1)."""
        node = self._forest.queues.get(holding.queue)
        usage = self._state(holding.queue).usage
        for fr, amount in holding.usage.items():
            if node is not None:
                node.add(fr, sign * amount)
            else:
                usage[fr] = usage.get(fr, 0) + sign * amount
        for place in holding.places:
            self.fleet.take(place, sign)

    def park(self, uid: str, again: bool = False) -> None:
        """It has to wait; with `again` it is tried once more when all others had their turn."""
        home = self._homes.get(uid, "")
        if home and uid in self.states[home].line:
            self.states[home].line.park(uid)
            if again:
                self._again[uid] = None

    def freed(self, queue: str, flavors: Iterable[str] = ()) -> None:
        """Room came back in this queue's tree, and in the topologies of these flavors: who waits there may try."""
        self._freed[queue] = None
        wired = {name for name in flavors if self.fleet.is_wired(name)}
        if wired:
            for state in self.states.values():
                if state.spec and state.name not in self._freed and _uses(state.spec, wired):
                    self._freed[state.name] = None

    # How it is kept

    def _state(self, name: str) -> QueueState:
        if name not in self.states:
            self.states[name] = QueueState(name)
            self._usages[name] = self.states[name].usage
        return self.states[name]

    def _hold(self, workload: Workload, holding: Holding) -> None:
        uid, admission = workload.uid, workload.admission
        self._holdings[uid] = holding
        self._homes[uid] = holding.queue
        self._state(holding.queue).hold(workload)
        self.move(holding, +1)
        if admission is None:
            self.pledged[uid] = None
        else:
            self._mark(workload, admission)

    def _mark(self, workload: Workload, admission: Admission) -> None:
        """Whether the next cycle has to look at it, or its pods are being stopped."""
        if admission.evicted:
            self.leaving[workload.uid] = None
        elif admission.admitted_at is None or is_resized(workload) or not workload.active:
            self.restless[workload.uid] = None

    def _wait(self, workload: Workload) -> None:
        if self.deadlines.hold_back(workload):
            return
        home, why = self.find_home(workload)
        if not home:
            self.homeless[workload.uid] = why
            self.untold[workload.uid] = None
            return
        self._homes[workload.uid] = home
        self._line_up(self._state(home), [workload.uid])

    def _line_up(self, state: QueueState, uids: Iterable[str]) -> None:
        for uid in uids:
            workload = self.workloads[uid]
            state.line.add(order_key(workload), class_of(workload))
            self._awake[state.name] = None

    def _leave(self, uid: str, wake: bool = True) -> None:
        home = self._homes.pop(uid, "")
        if uid in self.pledged:
            self._awake[home] = None  # a strict queue was held by the pledge
        for marks in (self.homeless, self.untold, self.restless, self.pledged, self.leaving):
            marks.pop(uid, None)
        self.deadlines.forget(uid)
        holding = self._holdings.pop(uid, None)
        if holding is not None:
            self.move(holding, -1)
            self.states[holding.queue].let_go(uid)
            if wake:
                self.freed(holding.queue, (place.flavor for place in holding.places))
        elif home and uid in self.states[home].line:
            self.states[home].line.remove(uid)
            self._awake[home] = None

    def _return(self, uid: str) -> None:
        """Its back-off is over."""
        workload = self.workloads.get(uid)
        if workload is not None and uid not in self._homes and uid not in self.homeless:
            self._wait(workload)

    def find_home(self, workload: Workload) -> tuple[str, str]:
        """The ClusterQueue it asks for, or empty and why there is none."""
        name = workload.queue
        if not name:
            target = self.rules.default_queue
        elif (workload.namespace, name) not in self.local_queues:
            return "", f"LocalQueue {name} does not exist in namespace {workload.namespace}"
        else:
            target = self.local_queues[workload.namespace, name].cluster_queue
        state = self.states.get(target)
        if state is None or state.spec is None:
            return "", f"ClusterQueue {target} does not exist"
        return target, ""

    def is_stopped(self, workload: Workload) -> Stop:
        """By its ClusterQueue or its LocalQueue, whichever stops more."""
        home = self.states.get(self._homes.get(workload.uid, ""))
        local = self.local_queues.get((workload.namespace, workload.queue))
        by_home = home.spec.stop if home and home.spec else Stop.NONE
        by_local = local.stop if local else Stop.NONE
        return max(by_home, by_local, key=_STOPS.__getitem__)

    def _trees_changed(self, *names: str) -> None:
        self._trees.update(name for name in names if name)

    def _local_changed(self, queue: LocalQueue, before: LocalQueue | None = None) -> None:
        for one in (queue, before):
            if one is not None:
                self._homes_changed.add(one.cluster_queue)
                self._stops_changed.add(one.cluster_queue)
                self._freed[one.cluster_queue] = None

    def _everybody_may_try(self) -> None:
        for name in self.states:
            self._freed[name] = None

    def _nodes_changed(self) -> None:
        self._nodes_moved = True
        self._everybody_may_try()

    def _settle_changes(self) -> None:
        """What changed of the configuration is thought through: the trees anew, every waiting workload to the queue
        that is its own now, those who hold quota of a stopped queue looked at, and whom it concerns tries again."""
        if self._trees:
            self._regrow()
        if self._homes_changed:
            self._move_homes()
        if self._stops_changed:
            self._look_for_stopped()

    def _regrow(self) -> None:
        names, self._trees = self._trees, set()
        for name in forests.regrow(self._forest, names, self._specs, self.cohorts, self._usages):
            if name in self.states:
                self._freed[name] = None

    def _move_homes(self) -> None:
        names, self._homes_changed = self._homes_changed, set()
        waiting = [uid for name in sorted(names) if name in self.states for uid in self.states[name].line]
        for uid in [*waiting, *self.homeless]:
            workload = self.workloads[uid]
            home, why = self.find_home(workload)
            if home != self._homes.get(uid, "") or why != self.homeless.get(uid, ""):
                self._leave(uid)
                self._wait(workload)

    def _look_for_stopped(self) -> None:
        names, self._stops_changed = self._stops_changed, set()
        for uid, holding in self._holdings.items():
            workload = self.workloads[uid]
            local = self.local_queues.get((workload.namespace, workload.queue))
            if holding.queue not in names and (local is None or local.cluster_queue not in names):
                continue
            admission = workload.admission
            if admission and not admission.evicted and self.is_stopped(workload) is not Stop.NONE:
                self.restless[uid] = None

    def _wake_freed(self) -> None:
        """Every tree once, however much of it was freed."""
        leaves = [self._forest.queues[name] for name in self._freed if name in self._forest.queues]
        for root in {id(leaf.root): leaf.root for leaf in leaves}.values():
            for sibling in self._forest.leaves(root):
                line = self.states[sibling.name].line
                if len(line):
                    line.wake()
                    self._awake[sibling.name] = None
        self._freed.clear()

    def _wake_losers(self) -> None:
        for uid in self._again:
            home = self._homes.get(uid, "")
            if home and uid in self.states[home].line:
                self.states[home].line.retry(uid)
                self._awake[home] = None
        self._again.clear()


def _uses(spec: ClusterQueue, flavors: set[str]) -> bool:
    return any(one.flavor in flavors for group in spec.resource_groups for one in group.flavors)


_STOPS = {stop: at for at, stop in enumerate(Stop)}
