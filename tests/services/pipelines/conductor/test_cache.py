"""Why nothing kept fits: the parts of a fingerprint that changed, in words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.pipelines.domain.cache import explain
from tests.services.pipelines.conductor.rig import added, chain, rig


def test_a_miss_names_what_changed_what_came_and_what_went():
    before = {"image": "python:3.11", "code": "abc", "input x": "1", "env MODE": '"fast"'}
    now = {"image": "python:3.12", "code": "abd", "input x": "2", "input y": "3"}
    assert explain(now, [before]) == (
        "miss: image changed (python:3.11 -> python:3.12); the code changed; input x changed (1 -> 2); "
        'env MODE is gone (it was "fast"); input y is new (3)'
    )


def test_without_anything_kept_or_changed_it_says_so():
    assert explain({"code": "a"}, []) == "miss: no earlier result of this step is kept"
    assert explain({"code": "a"}, [{"code": "a"}]) == "miss: the earlier result is no longer kept"


def test_of_a_loops_items_the_nearest_is_compared_and_no_digest_is_shown_to_people():
    long, other = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    now = {"code": "c", "input item": long, "input seed": "8"}
    kept = [{"code": "c", "input item": other, "input seed": "7"}, {"code": "c", "input item": long, "input seed": "7"}]
    assert explain(now, kept) == "miss: input seed changed (7 -> 8)"
    assert explain(now, kept[:1]) == "miss: input item changed; input seed changed (7 -> 8)"
    files = {"input model": f'["sha256-tree:{"a" * 64}"]'}
    assert explain(files, [{"input model": f'["sha256:{"b" * 64}"]'}]) == "miss: input model changed"


def nested(caching: dict[str, Any] | None) -> str:
    """A chain in a pipeline within a pipeline, whose place there says this of caching (None: nothing)."""
    spec = yaml.safe_load(chain(2))
    spec["components"]["comp-inner"] = spec.pop("root")
    said = {} if caching is None else {"cachingOptions": caching}
    place = {"taskInfo": {"name": "inner"}, "componentRef": {"name": "comp-inner"}, **said}
    spec["root"] = {"dag": {"tasks": {"inner": place}}}
    return yaml.safe_dump(spec)


@pytest.mark.parametrize(("caching", "steps"), [({}, 4), ({"enableCache": True}, 2), (None, 2)])
async def test_caching_that_is_switched_off_for_a_pipeline_is_off_for_all_steps_in_it(
    tmp_path: Path, caching: dict[str, Any] | None, steps: int
):
    async with rig(tmp_path, added) as here, here.leading():
        for _ in range(2):
            assert (await here.over(run := await here.submit(nested(caching)))).state == "SUCCEEDED"
        assert len(here.orders) == steps
        assert ("off: caching is turned off for this step" in await here.reasons(run)) == (steps == 4)
