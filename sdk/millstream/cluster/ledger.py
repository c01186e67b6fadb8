"""All that was made by chance, once, and that everything else follows from; values only, it asks no cluster.

An entry may have two companions: `<entry>.next` is accepted beside it and will take its place, `<entry>.old` is
accepted still. So a password changes without a moment at which somebody holds a wrong one (millstream.cluster.rotate).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator, Mapping

from libs.service.identity import make_keys
from libs.service.manifest import Manifest
from millstream.brokerconf import PERSON, Login

Ledger = Mapping[str, str]

IDENTITY, TOKEN, ADMIN, S3 = "identity", "token", "postgres-admin", "s3"
NEXT, OLD = ".next", ".old"
ADMINISTRATOR, S3_USER = "postgres", "millstream"
PASSWORD_BYTES = 24


def nats(user: str) -> str:
    """The entry of a broker's user."""
    return f"nats.{user}"


def postgres(service: str) -> str:
    """The entry of a service's database user."""
    return f"postgres.{service}"


def entries(manifests: Iterable[Manifest]) -> Iterator[str]:
    """What a complete ledger holds, whichever engines the cluster has."""
    yield from (IDENTITY, TOKEN, ADMIN, S3, nats(PERSON))
    for manifest in manifests:
        yield from (nats(manifest.name) for need in manifest.needs if need == "bus")
        yield from (postgres(manifest.name) for need in manifest.needs if need == "store")


def completed(ledger: Ledger, manifests: Iterable[Manifest]) -> dict[str, str]:
    """The ledger with whatever was missing made from the operating system's randomness."""
    return {**ledger, **{entry: made(entry) for entry in entries(manifests) if entry not in ledger}}


def made(entry: str, before: str | None = None) -> str:
    """A new value; a login gets another name than the one `before`, so that both can be known at once."""
    if entry == IDENTITY:
        return make_keys()[0]
    if entry == TOKEN:
        return "ms-" + secrets.token_urlsafe(32)
    return f"{_name(entry, before)}:{secrets.token_urlsafe(PASSWORD_BYTES)}"


def _name(entry: str, before: str | None) -> str:
    first = {ADMIN: ADMINISTRATOR, S3: S3_USER}.get(entry) or entry.partition(".")[2]
    return f"{first}_b" if before is not None and login(before)[0] == first else first


def login(value: str) -> Login:
    """User name and password of an entry's value."""
    name, _, password = value.partition(":")
    return name, password


def accepted(ledger: Ledger, entry: str) -> list[str]:
    """Every value of an entry that counts at the moment, the one in use first."""
    return [ledger[name] for name in (entry, entry + NEXT, entry + OLD) if name in ledger]


def logins(ledger: Ledger, entry: str) -> list[Login]:
    """The same, of an entry that is a login."""
    return [login(value) for value in accepted(ledger, entry)]


def public_keys(ledger: Ledger) -> str:
    """The PEM texts of all keys whose signatures are believed."""
    return "".join(_public(private) for private in accepted(ledger, IDENTITY))


def _public(private: str) -> str:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(private.encode(), None)
    return key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """The `data` of a Secret."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def decoded(secret: Mapping[str, object] | None) -> dict[str, str]:
    """The texts of a Secret's `data`; none of a Secret that is not there."""
    data: object = (secret or {}).get("data") or {}
    assert isinstance(data, Mapping)
    return {key: base64.b64decode(text).decode() for key, text in data.items()}
