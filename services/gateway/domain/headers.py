"""Which headers pass the door; what speaks of identity is ours to say, whatever its spelling."""

from collections.abc import Iterable

Pairs = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110, section 7.6.1."""
_IDENTITY_PREFIXES = (b"x-millstream-", b"x-remote-", b"x-forwarded-", b"x-auth-request-", b"impersonate-")
_OUR_OWN = frozenset((b"date", b"server"))
"""What our server says of itself."""
_REPLACED = frozenset((b"host", b"content-length", b"expect", b"forwarded", b"x-real-ip"))


def inbound(headers: Iterable[tuple[bytes, bytes]], *, keep_authorization: bool) -> Pairs:
    """What a service gets to see of the caller's headers. `x_remote_user` is `x-remote-user` to many servers."""
    headers = list(headers)
    named = _named_by_connection(headers)
    kept: Pairs = []
    for name, value in headers:
        plain = name.lower().replace(b"_", b"-")
        if plain in HOP_BY_HOP or plain in _REPLACED or plain in named or plain.startswith(_IDENTITY_PREFIXES):
            continue
        if plain == b"authorization" and not keep_authorization:
            continue
        kept.append((name, value))
    return kept


def outbound(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """What the caller gets to see of an answer's headers, in lower case as ASGI wants them."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP | _OUR_OWN]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    words = (value for name, value in headers if name.lower() == b"connection")
    return {word.strip().lower() for value in words for word in value.split(b",")}
