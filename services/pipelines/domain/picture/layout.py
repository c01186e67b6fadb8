"""Where everything of a picture stands, from top to bottom in the order of running; pure, the same every time.

Places stand in rows by how many others come before them. A line that passes a row gets a lane of its own there, so that
it runs between the boxes and not behind them. A graph inside of a task is a box around its own picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.pipelines.domain.picture.nodes import Node

WIDTH, HEIGHT = 196.0, 44.0
GAP_X, GAP_Y, LANE = 18.0, 30.0, 6.0
PAD, HEAD = 16.0, 26.0
LETTER = 5.6
"""How wide a letter of a heading is, about."""


@dataclass
class Slot:
    """One thing in a row: a place, or the lane of a line (no node)."""

    width: float
    height: float
    node: Node | None = None
    inner: Picture | None = None
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True)
class Line:
    """From below one box over lanes to the top of another."""

    start: Slot
    lanes: tuple[Slot, ...]
    end: Slot


@dataclass
class Picture:
    width: float = 0.0
    height: float = 0.0
    slots: list[Slot] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def picture(nodes: Sequence[Node]) -> Picture:
    """The nodes come in an order in which every one follows its upstream."""
    rank = _ranks(nodes)
    slots = {node.name: _slot(node) for node in nodes}
    rows: list[list[Slot]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    lines, before = [], {}
    for node in nodes:
        rows[rank[node.name]].append(slots[node.name])
    for node in nodes:
        for name in node.upstream:
            lanes = tuple(Slot(LANE, HEIGHT) for _ in range(rank[name] + 1, rank[node.name]))
            for at, lane in enumerate(lanes, rank[name] + 1):
                rows[at].append(lane)
            line = Line(slots[name], lanes, slots[node.name])
            lines.append(line)
            for above, below in zip((line.start, *lanes), (*lanes, line.end), strict=True):
                before.setdefault(id(below), []).append(above)
    return _placed(rows, lines, before)


def _ranks(nodes: Sequence[Node]) -> Mapping[str, int]:
    rank: dict[str, int] = {}
    for node in nodes:
        rank[node.name] = 1 + max((rank[name] for name in node.upstream), default=-1)
    return rank


def _slot(node: Node) -> Slot:
    if not node.inside:
        return Slot(WIDTH, HEIGHT, node)
    inner = picture(node.inside)
    heading = len(node.heading) * LETTER + 2 * PAD
    return Slot(max(WIDTH, inner.width + 2 * PAD, heading), inner.height + HEAD + PAD, node, inner)


def _placed(rows: list[list[Slot]], lines: list[Line], before: Mapping[int, list[Slot]]) -> Picture:
    widths = [sum(slot.width for slot in row) + GAP_X * (len(row) - 1) for row in rows]
    width, y = max(widths, default=0.0), 0.0
    for row, own in zip(rows, widths, strict=True):
        row.sort(key=lambda slot: _wish(before.get(id(slot), ()), width))  # keeps the order of equals
        height, x = max(slot.height for slot in row), (width - own) / 2
        for slot in row:
            slot.x, slot.y = x, y
            if slot.node is None:
                slot.height = height
            x += slot.width + GAP_X
        y += height + GAP_Y
    return Picture(width, max(0.0, y - GAP_Y), [slot for row in rows for slot in row if slot.node], lines)


def _wish(above: Sequence[Slot], width: float) -> float:
    """Where what comes before stands, so that lines cross little."""
    return sum(slot.middle for slot in above) / len(above) if above else width / 2
