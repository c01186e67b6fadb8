"""The platform's own certificate authority as values: who follows it and when, what it signs; no files, no time.

The next authority is announced (trusted by all) a day before it signs anything, and the one before stays trusted until
it expires: there is no moment at which a certificate is shown that somebody cannot check.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = dt.timedelta(days=730)
LEAF_LIFE = dt.timedelta(days=90)
ANNOUNCED = dt.timedelta(days=1)
"""Longer than a kubelet takes to bring a changed Secret into a pod, and than the broker takes to be replaced."""
SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """Who signs now, who will next, and everybody who is to be trusted (PEM certificates, oldest first)."""

    current: Pair
    next: Pair | None
    trusted: tuple[str, ...]

    @property
    def bundle(self) -> str:
        return "".join(self.trusted)


def founded(now: dt.datetime) -> Authority:
    """A new authority, trusted from the start."""
    pair = _self_signed(now)
    return Authority(pair, None, (pair.certificate,))


def advanced(authority: Authority, now: dt.datetime, *, force: bool = False) -> Authority:
    """The authority as it should be at `now`: the next announced after two thirds of its life (or by `force`), in
    charge a day later, the expired forgotten."""
    alive = tuple(each for each in authority.trusted if now < _read(each).not_valid_after_utc)
    authority = replace(authority, trusted=alive)
    if authority.next is None:
        if force or due(authority.current.certificate, now):
            pair = _self_signed(now)
            return replace(authority, next=pair, trusted=(*alive, pair.certificate))
        return authority
    since = _read(authority.next.certificate).not_valid_before_utc + SKEW
    if now >= since + ANNOUNCED:
        return replace(authority, current=authority.next, next=None)
    return authority


def due(certificate: str, now: dt.datetime) -> bool:
    """Whether two thirds of its life are over."""
    read = _read(certificate)
    return now >= read.not_valid_before_utc + (read.not_valid_after_utc - read.not_valid_before_utc) * 2 / 3


def good(leaf: Pair, authority: Authority, names: Sequence[str], now: dt.datetime) -> bool:
    """Whether `leaf` may stay: signed by the current authority, for exactly these names, its own key, not due."""
    try:
        read = _read(leaf.certificate)
        key = serialization.load_pem_private_key(leaf.key.encode(), None)
        read.verify_directly_issued_by(_read(authority.current.certificate))
        shown = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, another is made
        return False
    same_key = _public(key.public_key()) == _public(read.public_key())
    return same_key and sorted(map(str, shown)) == sorted(map(str, _names(names))) and not due(leaf.certificate, now)


def issued(authority: Authority, names: Sequence[str], now: dt.datetime, *, peer: bool = False) -> Pair:
    """A serving certificate for `names` (DNS names, addresses); `peer`: its holder also dials others of its kind."""
    ca = _read(authority.current.certificate)
    ca_key = serialization.load_pem_private_key(authority.current.key.encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if peer else [])]
    until = min(now + LEAF_LIFE, ca.not_valid_after_utc)
    certificate = (
        _builder(_named(names[0][:64]), ca.subject, key.public_key(), now, until)
        .add_extension(x509.SubjectAlternativeName(_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Pair(_pem(certificate), _key_pem(key))


def _self_signed(now: dt.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities of one name would be hard to tell apart for whoever checks a chain.
    name = _named(f"Millstream CA {now:%Y-%m-%d} {x509.random_serial_number() % 0xFFFF_FFFF:08x}")
    certificate = (
        _builder(name, name, key.public_key(), now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(_pem(certificate), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: dt.datetime, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)  # clocks differ a little
        .not_valid_after(until)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general(name) for name in names]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read(certificate: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.encode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()


def _public(key: object) -> bytes:
    form = serialization
    read: bytes = key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return read
