"""What the decision assumes while it is being made: admissions and evictions on trial, all taken back at the end."""

from types import TracebackType

from services.scheduler.domain.book import Book
from services.scheduler.domain.holding import Holding
from services.scheduler.domain.line import Key
from services.scheduler.domain.model import Workload
from services.scheduler.domain.quota import QuotaNode


class Trial:
    """`evicted`: whom this cycle evicts; they hold their quota until their pods are gone. `newcomers`: whom it lets
    in."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.evicted: dict[str, None] = {}
        self.newcomers: dict[str, tuple[Workload, Holding]] = {}
        self._moves: list[tuple[Holding, int]] = []
        self._left_by_tree: dict[int, list[str]] | None = None
        self._joined: set[int] = set()

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.back_to(0)

    @property
    def mark(self) -> int:
        return len(self._moves)

    def admit(self, workload: Workload, holding: Holding) -> None:
        self.newcomers[workload.uid] = (workload, holding)
        self._joined.add(id(self.book.forest.queues[holding.queue].root))
        self.move(holding, +1)

    def has_newcomers(self, root: QuotaNode) -> bool:
        """Whether this cycle let somebody into this tree: nobody can preempt them before the next one."""
        return id(root) in self._joined

    def members(self, queue: str) -> list[tuple[Workload, Holding]]:
        """Everybody who will hold quota of this queue after the cycle, promised quota included."""
        book = self.book
        staying = [(w, book.holding(uid)) for uid, w in book.states[queue].holders.items() if not self.is_leaving(uid)]
        return [(w, h) for w, h in staying if h] + [(w, h) for w, h in self.newcomers.values() if h.queue == queue]

    def move(self, holding: Holding, sign: int) -> None:
        self.book.move(holding, sign)
        self._moves.append((holding, sign))

    def back_to(self, mark: int) -> None:
        while len(self._moves) > mark:
            holding, sign = self._moves.pop()
            self.book.move(holding, -sign)

    def is_leaving(self, uid: str) -> bool:
        return uid in self.evicted or uid in self.book.leaving

    def leaving(self, root: QuotaNode) -> list[str]:
        """Those of this tree whose quota will be free soon."""
        if self._left_by_tree is None:  # the book knows of no others before the trial is over
            self._left_by_tree = {}
            for uid in self.book.leaving:
                self._left_by_tree.setdefault(self._tree_of(uid), []).append(uid)
        tree = id(root)
        evicted = [uid for uid in self.evicted if self._tree_of(uid) == tree]
        return list(dict.fromkeys([*self._left_by_tree.get(tree, ()), *evicted]))

    def _tree_of(self, uid: str) -> int:
        holding = self.book.holding(uid)
        leaf = self.book.forest.queues.get(holding.queue) if holding else None
        return id(leaf.root) if leaf is not None else 0

    def holders(self, queue: str, after: Key | None = None) -> list[Workload]:
        """Whose quota may be counted on to stay, neither leaving nor merely promised; those `after` a place in the
        queue's order, or all."""
        state = self.book.states[queue]
        uids = state.holders if after is None else state.after(after)
        found = [state.holders[uid] for uid in uids if not self.is_leaving(uid)]
        return [w for w in found if w.admission is not None]
