"""Why nothing kept fits: the parts of a fingerprint that changed, in words."""

from services.pipelines.domain.cache import explain


def test_a_miss_names_what_changed_what_came_and_what_went():
    before = {"image": "python:3.11", "code": "abc", "input x": "1", "env MODE": '"fast"'}
    now = {"image": "python:3.12", "code": "abd", "input x": "2", "input y": "3"}
    assert explain(now, before) == (
        "miss: image changed (python:3.11 -> python:3.12); the code changed; input x changed (1 -> 2); "
        'env MODE is gone (it was "fast"); input y is new (3)'
    )


def test_without_anything_kept_or_changed_it_says_so():
    assert explain({"code": "a"}, None) == "miss: this task has no kept outputs yet"
    assert explain({"code": "a"}, {"code": "a"}) == "miss: its outputs are no longer kept"
