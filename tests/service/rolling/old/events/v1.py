"""What the old code says: version 1."""

from typing import ClassVar

from contracts.messages import ObjectEvent


class NoteWritten(ObjectEvent):
    """A note was written."""

    type: ClassVar[str] = "toy.note.written.v1"
