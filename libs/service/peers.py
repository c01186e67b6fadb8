"""The certificate of a TLS client, as the handshake verified it; who may use it for what is decided elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.service.asgi import Scope

EXTENSION = "tls"


@dataclass(frozen=True)
class Peer:
    """A client whose chain was verified: its subject, the certificates that vouch for it (DER), and its last second.

    `ends_at` is the earliest end of a certificate of the chain, in seconds since 1970: a connection outlives it.
    """

    name: str
    organizations: tuple[str, ...]
    vouched_by: frozenset[bytes]
    ends_at: float


def peer_of(scope: Scope) -> Peer | None:
    """Who the client of this request proved to be; None without a certificate and on a plain connection."""
    found: Peer | None = _told(scope).get("peer")
    return found


def is_tls(scope: Scope) -> bool:
    """Whether the request came in by the TLS listener; only its own protocol can say so."""
    return "peer" in _told(scope)


def _told(scope: Scope) -> dict[str, Any]:
    return (scope.get("extensions") or {}).get(EXTENSION) or {}


def verified_peer(connection: Any) -> Peer | None:
    """Reads an `ssl.SSLObject` after its handshake.

    Python 3.13 made `get_verified_chain` public; before it is where pip's truststore finds it too, on the inner object.
    A connection without a verified chain has no peer, whatever certificate it showed.
    """
    public = getattr(connection, "get_verified_chain", None)
    chain = public() if public else connection._sslobj.get_verified_chain()
    ders = [_der(each) for each in chain or ()]
    return _peer(ders) if len(ders) > 1 else None


def _der(certificate: Any) -> bytes:
    return certificate if isinstance(certificate, bytes) else ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


def _peer(chain: Sequence[bytes]) -> Peer:
    from cryptography.x509 import load_der_x509_certificate
    from cryptography.x509.oid import NameOID

    parsed = [load_der_x509_certificate(der) for der in chain]
    subject = parsed[0].subject
    names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return Peer(
        name=names[-1] if names else "",
        organizations=tuple(str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)),
        vouched_by=frozenset(chain[1:]),
        ends_at=min(each.not_valid_after_utc.timestamp() for each in parsed),
    )
