"""A run as a picture: every place once, boxes that are apart, lines that go down, words that cannot break out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import State
from services.pipelines.domain.ir.reading import read
from services.pipelines.domain.picture import nodes as places
from services.pipelines.domain.picture.layout import Picture, Slot, picture
from services.pipelines.domain.picture.nodes import Node, Standing, TooManyPlaces, nodes
from services.pipelines.domain.picture.svg import svg
from tests.services.pipelines.engine.test_forking import shop
from tests.services.pipelines.engine.world import BEGIN, World, facts, failed

GOLDEN = Path(__file__).parents[1] / "golden" / "kfp_2.17.0"
COMPILED = sorted(file for file in GOLDEN.glob("*.yaml") if file.stem != "miscompiled")  # kfp's mistake: cannot run
SVG = "{http://www.w3.org/2000/svg}"


def world(**steps: Any) -> World:
    return World(shop(), facts(shop(), n=1), steps)


def drawn(lived: World) -> dict[str, Node]:
    """All places by name, those inside of others too."""
    return dict(_named(nodes(lived.pipeline, list(lived.records.values()), lived.now)))


def _named(found: tuple[Node, ...]) -> Iterator[tuple[str, Node]]:
    for node in found:
        yield node.name, node
        yield from _named(node.inside)


def test_iterations_of_a_loop_share_their_place() -> None:
    found = drawn(world().go())
    assert found["loop"].is_loop and found["loop"].standing.counts == {"SUCCEEDED": 2}
    assert found["train"].standing.counts == {"SUCCEEDED": 2}
    assert found["report"].upstream == ("loop",)


def test_what_has_not_been_decided_yet_is_there_and_waits() -> None:
    lived = world()
    lived.advance()
    found = drawn(lived)
    assert set(found) == {"make", "loop", "prepare", "train", "report", "aside"}
    assert found["report"].standing.state == places.WAITING
    assert found["make"].standing.state == "PENDING"


def test_a_failure_is_its_places_state_with_its_reason_and_the_graphs_around_it() -> None:
    found = drawn(world(train=lambda record: failed("out of <memory>")).go())
    assert found["train"].standing.state == found["loop"].standing.state == "FAILED"
    assert "out of <memory>" in found["train"].standing.problem


def test_reused_outputs_are_told_apart_from_new_ones() -> None:
    lived = world().go()
    lived.records["root/make"] = replace(lived.records["root/make"], cached_from="other")
    assert drawn(lived)["make"].standing.state == places.CACHED


def every(found: Picture) -> Iterator[Picture]:
    yield found
    for slot in found.slots:
        if slot.inner:
            yield from every(slot.inner)


def apart(one: Slot, other: Slot) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


@pytest.mark.parametrize("file", COMPILED, ids=lambda file: file.stem)
def test_of_every_compiled_pipeline_boxes_are_apart_within_their_frame_and_lines_go_down(file: Path) -> None:
    spec, *more = yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader)
    pipeline = read(*canonical({"pipeline_spec": spec, "platform_spec": more[0] if more else {}}))
    whole = picture(nodes(pipeline, [], BEGIN))
    for found in every(whole):
        lanes = {id(lane): lane for line in found.lines for lane in line.lanes}
        for one, other in combinations([*found.slots, *lanes.values()], 2):
            assert apart(one, other)
        for slot in found.slots:
            assert slot.x >= 0 and slot.x + slot.width <= found.width + 0.01
            assert slot.y >= 0 and slot.y + slot.height <= found.height + 0.01
        for line in found.lines:
            down = [line.start, *line.lanes, line.end]
            assert all(a.y + a.height <= b.y for a, b in pairwise(down))
    ElementTree.fromstring(svg(whole, pipeline.name, "PENDING"))


def test_users_words_cannot_break_out_of_the_picture() -> None:
    evil = '</text><script>alert("1")</script>\x00&'
    node = Node("a", evil, Standing({"FAILED": 1}, 1.0, evil))
    text = svg(picture([node]), evil, "FAILED")
    assert "<script" not in text
    kinds = {one.tag.removeprefix(SVG) for one in ElementTree.fromstring(text).iter()}
    assert kinds <= {"svg", "title", "style", "defs", "marker", "path", "rect", "circle", "text", "g"}


def test_what_is_drawn_says_how_far_a_loop_is() -> None:
    standing = Standing({"SUCCEEDED": 118, "RUNNING": 2}, 75.0)
    inner = Node("train", "train", standing)
    loop = Node("loop", "for each shop", standing, inside=(inner,), is_loop=True)
    text = svg(picture([loop]), "shops", "RUNNING")
    assert "for each shop: 118 of 120 iterations, 2 running, 75.0 s" in text
    assert "118 of 120 tasks, 2 running" in text
    assert picture([loop]).width > 5 * len("for each shop: 118 of 120 iterations, 2 running, 75.0 s"), "it is cut off"


def test_more_than_a_picture_can_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PLACES_MAX", 3)
    with pytest.raises(TooManyPlaces, match="at most 3 tasks"):
        drawn(world())


def test_a_run_taken_up_again_shows_what_waits_anew() -> None:
    lived = world(train=lambda record: failed()).go()
    records: Mapping[str, Any] = lived.records
    machine = Machine.load(lived.pipeline, lived.run, records.values())
    machine.retry()
    lived.note(machine.advance(lived.now))
    again = drawn(lived)
    assert again["make"].standing.state == str(State.SUCCEEDED)
    assert again["report"].standing.state == places.WAITING
