"""One row of the change log; it holds JSON text and decodes on demand, so that readers share rows and never a dict."""

from typing import Any, NamedTuple

from libs.store.codec import decode

ADDED, MODIFIED, DELETED, SAID = "ADDED", "MODIFIED", "DELETED", "SAID"


class Change(NamedTuple):
    """A change of an object, a letter to be said, or both. `seq` is the resourceVersion; columns in table order."""

    seq: int
    at: str
    """RFC 3339 with microseconds."""
    op: str
    """`ADDED`, `MODIFIED`, `DELETED`, or `SAID` for a letter alone (then `resource` is empty)."""
    resource: str
    """`plural.group`."""
    namespace: str
    name: str
    body_json: str | None
    prev_json: str | None
    subject: str | None
    letter_json: str | None
    said_at: str | None

    @property
    def body(self) -> dict[str, Any] | None:
        """The object after the change; for `DELETED` as it last was, with this change's resourceVersion."""
        return decode(self.body_json) if self.body_json is not None else None

    @property
    def prev(self) -> dict[str, Any] | None:
        """The object before the change; None for `ADDED`."""
        return decode(self.prev_json) if self.prev_json is not None else None

    @property
    def letter(self) -> dict[str, Any] | None:
        """A CloudEvent in structured JSON."""
        return decode(self.letter_json) if self.letter_json is not None else None

    @property
    def cost(self) -> int:
        """Characters held, for whoever keeps rows in memory."""
        return sum(len(text or "") for text in (self.body_json, self.prev_json, self.letter_json))
