"""What the new code says to those that still hear version 1: one more field, which they do not know."""

from typing import ClassVar

from contracts.messages import ObjectEvent


class NoteWritten(ObjectEvent):
    """A note was written."""

    type: ClassVar[str] = "toy.note.written.v1"
    author: str | None = None
