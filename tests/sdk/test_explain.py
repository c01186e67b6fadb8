"""What `millstream explain` says of an object beside the words of its queue."""

from __future__ import annotations

from typing import Any

from millstream.cli.explain import _worded

UNKNOWN: dict[str, Any] = {"state": "Unknown", "sentences": []}


def test_who_has_not_asked_for_quota_yet_says_why_by_its_own_conditions() -> None:
    waits = {"type": "PodsReady", "status": "False", "message": "the registry has announced no model 'nope'"}
    same = {**waits, "type": "Ready"}
    fine = {"type": "IngressReady", "status": "True", "message": "a door is there"}
    told = _worded(UNKNOWN, {"status": {"conditions": [waits, same, fine]}})["sentences"]
    assert told[0].startswith("It has not asked for quota yet")
    assert told[1:] == ["the registry has announced no model 'nope'"]


def test_who_is_over_does_not_wait() -> None:
    over = {"status": {"conditions": [{"type": "Complete", "status": "True", "message": "all nodes completed"}]}}
    assert _worded(UNKNOWN, over)["sentences"] == ["It does not wait: it is over (Complete). all nodes completed"]
