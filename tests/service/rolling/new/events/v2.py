"""What the new code says besides: version 2, where a note has a title instead of a name of its own."""

from typing import ClassVar

from contracts.messages import Event, Uid


class NoteWritten(Event):
    """A note was written."""

    type: ClassVar[str] = "toy.note.written.v2"
    uid: Uid
    title: str
