"""A picture as SVG that stands alone: no script, no link, no font to fetch; users' words are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from services.pipelines.domain.picture.layout import HEAD, PAD, Line, Picture, Slot
from services.pipelines.domain.picture.nodes import CACHED, WAITING, Node, Standing, short

COLOURS = {
    "SUCCEEDED": "#2e8b57",
    CACHED: "#3a9ca6",
    "RUNNING": "#2b6cb0",
    "PENDING": "#b7791f",
    "PAUSED": "#b7791f",
    "FAILED": "#c53030",
    "CANCELED": "#8a6d5c",
    "CANCELING": "#8a6d5c",
    "SKIPPED": "#9aa5ab",
    WAITING: "#cbd5da",
}
MARGIN, TITLE, LEAST = 20.0, 34.0, 320.0
LETTERS = 24
STYLE = (
    ".b{fill:#fff;stroke:#5b7784;stroke-width:1.2}.g{fill:#f1f6f5;stroke:#8aa3ad;stroke-dasharray:5 3}"
    ".w{stroke:#b9c6cc;stroke-dasharray:3 3}.l{fill:none;stroke:#5b7784;stroke-width:1.4;marker-end:url(#h)}"
    "text{fill:#12303b}.s{fill:#4a6a75;font-size:11px}.n{font-size:13px}.t{font-size:16px;font-weight:bold}"
)


def svg(drawn: Picture, title: str, state: str) -> str:
    """The document as text."""
    width = max(drawn.width, LEAST) + 2 * MARGIN
    height = drawn.height + 2 * MARGIN + TITLE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{_text(title)}: {_text(state.lower())}</title><style>{STYLE}</style>",
        '<defs><marker id="h" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        '<path d="M0,0 L7,3 L0,6 z" fill="#5b7784"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fbfdfc"/>',
        f'<circle cx="{MARGIN + 7:.0f}" cy="{MARGIN + 6:.0f}" r="7" fill="{COLOURS.get(state, COLOURS[WAITING])}"/>',
        f'<text class="t" x="{MARGIN + 22:.0f}" y="{MARGIN + 12:.0f}">{_text(short(title, 40))}</text>',
        *_drawn(drawn, (width - drawn.width) / 2, MARGIN + TITLE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(drawn: Picture, x: float, y: float) -> Iterator[str]:
    yield f'<g transform="translate({x:.1f} {y:.1f})">'
    for line in drawn.lines:
        yield f'<path class="l" d="{_path(line)}"/>'
    for slot in drawn.slots:
        assert slot.node is not None
        yield from _group(slot, slot.node) if slot.inner else _box(slot, slot.node)
    yield "</g>"


def _path(line: Line) -> str:
    x, y = line.start.middle, line.start.y + line.start.height
    words = [f"M{x:.1f},{y:.1f}"]
    for lane in line.lanes:
        words += [_curve(x, y, lane.middle, lane.y), f"V{lane.y + lane.height:.1f}"]
        x, y = lane.middle, lane.y + lane.height
    return " ".join([*words, _curve(x, y, line.end.middle, line.end.y - 1)])


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (y + to_y) / 2
    return f"C{x:.1f},{half:.1f} {to_x:.1f},{half:.1f} {to_x:.1f},{to_y:.1f}"


def _group(slot: Slot, node: Node) -> Iterator[str]:
    assert slot.inner is not None
    yield f"<g>{_hint(node)}"
    yield f'<rect class="g" {_place(slot)} rx="8"/>'
    yield _dot(slot.x + PAD, slot.y + 14, node.standing.state)
    yield f'<text class="s" x="{slot.x + PAD + 12:.1f}" y="{slot.y + 18:.1f}">{_text(node.heading)}</text></g>'
    left = (slot.width - slot.inner.width) / 2
    yield from _drawn(slot.inner, slot.x + left, slot.y + HEAD)


def _box(slot: Slot, node: Node) -> Iterator[str]:
    style = "b w" if node.standing.state == WAITING else "b"
    yield f'<g>{_hint(node)}<rect class="{style}" {_place(slot)} rx="6"/>'
    yield from _bar(slot, node.standing)
    x = slot.x + 14
    yield f'<text class="n" x="{x:.1f}" y="{slot.y + 19:.1f}">{_text(short(node.title, LETTERS))}</text>'
    yield f'<text class="s" x="{x:.1f}" y="{slot.y + 36:.1f}">{_text(short(node.words, 32))}</text></g>'


def _bar(slot: Slot, standing: Standing) -> Iterator[str]:
    """The left edge, in the colours of the states by how many tasks have each."""
    y, all_ = slot.y + 6, standing.tasks
    for state, colour in COLOURS.items():
        share = standing.counts.get(state, 0) / all_ if all_ else float(state == WAITING)
        if share:
            tall = (slot.height - 12) * share
            yield f'<rect x="{slot.x + 5:.1f}" y="{y:.1f}" width="4" height="{tall:.1f}" fill="{colour}"/>'
            y += tall


def _dot(x: float, y: float, state: str) -> str:
    return f'<circle cx="{x + 4:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS.get(state, COLOURS[WAITING])}"/>'


def _hint(node: Node) -> str:
    """What is shown where the pointer rests."""
    told = f"{node.title}: {node.words}"
    return f"<title>{_text(told)}{': ' + _text(node.standing.problem[:500]) if node.standing.problem else ''}</title>"


def _place(slot: Slot) -> str:
    return f'x="{slot.x:.1f}" y="{slot.y:.1f}" width="{slot.width:.1f}" height="{slot.height:.1f}"'


def _text(text: str) -> str:
    """Escaped, without what no XML document may hold."""
    return escape("".join(letter for letter in text if letter >= " " or letter in "\t\n"))
