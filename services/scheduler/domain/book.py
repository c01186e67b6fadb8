"""The scheduler's state in memory, kept up to date change by change: a decision never starts from the beginning.

Facts go in with `put_*` and `remove_*`; each costs about the logarithm of the queue it touches.
Configuration changes are rare and rebuild the quota tree. The book knows no clock: deadlines are times told to it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping

from services.scheduler.domain import cohorts as forests
from services.scheduler.domain.alike import class_of, order_key
from services.scheduler.domain.deadlines import Deadlines
from services.scheduler.domain.holding import Holding, held_by, is_resized
from services.scheduler.domain.line import Key, Line
from services.scheduler.domain.model import (
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
        self._stale = True
        self._awake: dict[str, None] = {}
        self._freed: dict[str, None] = {}
        self._nodes_moved = False

    # What is configured

    def put_queue(self, spec: ClusterQueue) -> None:
        state = self._state(spec.name)
        if state.spec is None or state.spec.strategy is not spec.strategy:
            waiting = list(state.line)
            state.line = Line(strict=spec.strategy is Strategy.STRICT_FIFO)
            self._line_up(state, waiting)
        state.spec = spec
        self._reconfigured()

    def remove_queue(self, name: str) -> None:
        """Who holds its quota goes on; who waits, waits for a queue."""
        if name in self.states:
            self.states[name].spec = None
            self._reconfigured()

    def put_local_queue(self, queue: LocalQueue) -> None:
        self.local_queues[queue.namespace, queue.name] = queue
        self._reconfigured()

    def remove_local_queue(self, namespace: str, name: str) -> None:
        self.local_queues.pop((namespace, name), None)
        self._reconfigured()

    def put_cohort(self, cohort: Cohort) -> None:
        self.cohorts[cohort.name] = cohort
        self._reconfigured()

    def remove_cohort(self, name: str) -> None:
        self.cohorts.pop(name, None)
        self._reconfigured()

    def put_flavor(self, flavor: ResourceFlavor) -> None:
        self.flavors[flavor.name] = flavor
        self.fleet.put_flavor(flavor)
        self._reconfigured()

    def remove_flavor(self, name: str) -> None:
        self.flavors.pop(name, None)
        self.fleet.remove_flavor(name)
        self._reconfigured()

    def put_topology(self, topology: Topology) -> None:
        self.fleet.put_topology(topology)
        self._reconfigured()

    def remove_topology(self, name: str) -> None:
        self.fleet.remove_topology(name)
        self._reconfigured()

    def put_node(self, node: Node) -> None:
        """`used` and readiness change often, so put it when something did change: everybody tries again."""
        self.fleet.put_node(node)
        self._nodes_changed()

    def remove_node(self, name: str) -> None:
        self.fleet.remove_node(name)
        self._nodes_changed()

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        self.namespaces[name] = dict(labels)
        self._reconfigured()

    # What is asked for

    def put_workload(self, workload: Workload) -> None:
        """As it is now, whatever was known of it before."""
        holding, held = held_by(workload), self._holdings.get(workload.uid)
        self._leave(workload.uid, wake=held is not None and held != holding)
        self.workloads[workload.uid] = workload
        if holding is not None:
            self._hold(workload, holding)
        elif workload.active and not workload.suspended and workload.pod_sets:
            self._wait(workload)
        self.deadlines.watch(workload, self.rules)

    def remove_workload(self, uid: str) -> None:
        """It is over: everything it held is free."""
        self._leave(uid)
        self.workloads.pop(uid, None)

    # What the cycle reads

    @property
    def forest(self) -> forests.Forest:
        if self._stale:
            self._rebuild()
        return self._forest

    def node(self, queue: str) -> QuotaNode | None:
        return self.forest.queues.get(queue)

    def look_around(self) -> None:
        """Notice what a change of configuration or of nodes means for those who hold quota."""
        if self._stale:
            self._rebuild()
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
        if self._stale:
            self._rebuild()
        for uid in self.deadlines.back(now):
            self._return(uid)
        self._wake_freed()
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
        node = None if self._stale else self._forest.queues.get(holding.queue)
        usage = self._state(holding.queue).usage
        for fr, amount in holding.usage.items():
            if node is not None:
                node.add(fr, sign * amount)
            else:
                usage[fr] = usage.get(fr, 0) + sign * amount
        for place in holding.places:
            self.fleet.take(place, sign)

    def park(self, uid: str) -> None:
        home = self._homes.get(uid, "")
        if home and uid in self.states[home].line:
            self.states[home].line.park(uid)

    def freed(self, queue: str, flavors: Iterable[str] = ()) -> None:
        """Room came back in this queue's tree, and in the topologies of these flavors: who waits there may try."""
        self._freed[queue] = None
        wired = {name for name in flavors if self.fleet.is_wired(name)}
        if wired:
            for state in self.states.values():
                if state.spec and any(f.flavor in wired for g in state.spec.resource_groups for f in g.flavors):
                    self._freed[state.name] = None

    # How it is kept

    def _state(self, name: str) -> QueueState:
        if name not in self.states:
            self.states[name] = QueueState(name)
        return self.states[name]

    def _hold(self, workload: Workload, holding: Holding) -> None:
        uid, admission = workload.uid, workload.admission
        self._holdings[uid] = holding
        self._homes[uid] = holding.queue
        self._state(holding.queue).hold(workload)
        self.move(holding, +1)
        if admission is None:
            self.pledged[uid] = None
        elif admission.evicted:
            self.leaving[uid] = None
        elif admission.admitted_at is None or is_resized(workload) or not workload.active:
            self.restless[uid] = None

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
        stops = [Stop.NONE]
        home = self.states.get(self.home(workload))
        if home and home.spec:
            stops.append(home.spec.stop)
        local = self.local_queues.get((workload.namespace, workload.queue))
        if local:
            stops.append(local.stop)
        return max(stops, key=list(Stop).index)

    def _reconfigured(self) -> None:
        self._stale = True

    def _nodes_changed(self) -> None:
        self._nodes_moved = True
        for name in self.states:
            self._freed[name] = None

    def _rebuild(self) -> None:
        """The tree anew, every waiting workload to the queue that is its own now, and everybody tries again."""
        specs = {name: state.spec for name, state in self.states.items() if state.spec is not None}
        self._forest = forests.grow(specs, self.cohorts, {n: s.usage for n, s in self.states.items()})
        self._stale = False
        waiting = [uid for uid in (*self._homes, *self.homeless) if uid not in self._holdings]
        for uid in waiting:
            workload = self.workloads[uid]
            if self.find_home(workload)[0] != self._homes.get(uid, ""):
                self._leave(uid)
                self._wait(workload)
        for uid, workload in self.workloads.items():
            if workload.admission and not workload.admission.evicted and self.is_stopped(workload) is not Stop.NONE:
                self.restless[uid] = None
        for name in self.states:
            self._freed[name] = None

    def _wake_freed(self) -> None:
        for name in self._freed:
            leaf = self._forest.queues.get(name)
            for sibling in self._forest.leaves(leaf.root) if leaf else ():
                line = self.states[sibling.name].line
                if len(line):
                    line.wake()
                    self._awake[sibling.name] = None
        self._freed.clear()
