"""The one file of a form as browsers and clients send it (multipart/form-data, RFC 7578); reads it whole in memory."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesHeaderParser

from libs.base.errors import BadRequest

FIELD = "uploadfile"


def file_of(content_type: str, body: bytes) -> bytes:
    """The content of the field `uploadfile`. Raises BadRequest."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise BadRequest(f"Content-Type: {content_type!r} is not multipart/form-data with a boundary")
    mark = b"--" + boundary.encode("latin-1", "replace")
    # The first mark opens the body, each later one follows the end of a line.
    parts = (b"\r\n" + body).split(b"\r\n" + mark)[1:-1]
    for part in parts:
        headers, gap, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if gap and _name(headers) == FIELD:
            return content
    raise BadRequest(f"{FIELD}: the form has no such file")


def _name(headers: bytes) -> str:
    name = BytesHeaderParser().parsebytes(headers).get_param("name", header="content-disposition")
    return name if isinstance(name, str) else ""
