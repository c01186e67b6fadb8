"""What is true of every store at rest, in words and code; crash tests and simulations end with it."""

from typing import Any

from libs.store import DELETED, SAID, Change, Store


async def assert_whole(store: Store) -> None:
    """Replaying the change log gives the objects, each under the version of its last change, with no gap and no half.

    Holds for a log that was never trimmed.
    """
    async with store.read() as reader:
        stored = await reader.rows("SELECT resource, namespace, name, rv, body FROM objects")
        changes: list[Change] = []
        while page := await reader.changes_since(changes[-1].seq if changes else 0):
            changes += page
    assert [c.seq for c in changes] == list(range(1, len(changes) + 1)), "the log has gaps"
    assert {(r, ns, n): (rv, body) for r, ns, n, rv, body in stored} == _replayed(changes)
    for change in changes:
        assert change.op == SAID or change.body_json is not None, f"change {change.seq} has no body"
        assert change.op == SAID or _version(change.body) == str(change.seq), (
            f"change {change.seq} tells another version"
        )


def _replayed(changes: list[Change]) -> dict[tuple[str, str, str], tuple[int, str | None]]:
    objects: dict[tuple[str, str, str], tuple[int, str | None]] = {}
    for change in changes:
        key = (change.resource, change.namespace, change.name)
        if change.op != SAID:
            before = objects.pop(key, (0, None))[1]
            assert change.prev_json == before, f"change {change.seq} tells another past"
            if change.op != DELETED:
                objects[key] = (change.seq, change.body_json)
    return objects


def _version(body: dict[str, Any] | None) -> str | None:
    return str(body["metadata"]["resourceVersion"]) if body else None
