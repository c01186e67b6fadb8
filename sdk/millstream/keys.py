"""Passwords, signing keys and TLS certificates of one home, made once and kept; nothing here talks to a network."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from millstream.home import Home, write_private

_CA_DAYS = 3650
_LEAF_DAYS = 397  # the longest that browsers accept
_RENEW_BEFORE = dt.timedelta(days=30)


def passwords(home: Home, users: Iterable[str]) -> dict[str, str]:
    """One random password a user name, added to what the home already keeps."""
    path = home.path / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [user for user in users if user not in kept]
    if missing:
        kept |= {user: secrets.token_urlsafe(24) for user in missing}
        write_private(path, json.dumps(kept, indent=1))
    return kept


def local_token(home: Home) -> str:
    """The bearer token of the person who owns this home."""
    if not home.token.exists():
        write_private(home.token, "ms-" + secrets.token_urlsafe(32))
    return home.token.read_text().strip()


def identity_keys(home: Home) -> tuple[str, str]:
    """(private, public) PEM of the key with which the gateway signs who a caller is (Ed25519)."""
    private_path, public_path = home.keys / "identity.pem", home.keys / "identity.pub"
    if not (private_path.exists() and public_path.exists()):
        from cryptography.hazmat.primitives import serialization as ser
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
        public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
        write_private(private_path, private.decode())
        write_private(public_path, public.decode())
    return private_path.read_text(), public_path.read_text()


def certificates(home: Home, now: dt.datetime) -> tuple[Path, Path, Path]:
    """Files for 127.0.0.1 and localhost: (CA certificate, server certificate, its key); renewed in time."""
    ca, cert, key = home.tls / "ca.crt", home.tls / "server.crt", home.tls / "server.key"
    if not (ca.exists() and cert.exists() and key.exists()) or _ends_soon(cert, now):
        _issue(home, now)
    return ca, cert, key


def _ends_soon(cert: Path, now: dt.datetime) -> bool:
    from cryptography import x509

    return x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc - now < _RENEW_BEFORE


def _issue(home: Home, now: dt.datetime) -> None:
    """A certificate authority of this home (kept over renewals) and a server certificate signed by it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric import ec

    def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
        return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()).decode()

    ca_cert_path, ca_key_path = home.tls / "ca.crt", home.tls / "ca.key"
    if not (ca_cert_path.exists() and ca_key_path.exists()):
        ca_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Millstream laptop CA")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        ca_cert = (
            _builder(name, name, ca_key.public_key(), now, _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write_private(ca_key_path, pem_of(ca_key))
        write_private(ca_cert_path, ca_cert.public_bytes(ser.Encoding.PEM).decode())
    ca_cert = x509.load_pem_x509_certificate(ca_cert_path.read_bytes())
    ca_key = ser.load_pem_private_key(ca_key_path.read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [
        x509.DNSName("localhost"),
        x509.DNSName("*.localhost"),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
    ]
    cert = (
        _builder(subject, ca_cert.subject, key.public_key(), now, _LEAF_DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(home.tls / "server.key", pem_of(key))
    write_private(home.tls / "server.crt", cert.public_bytes(ser.Encoding.PEM).decode())


def _builder(subject, issuer, public_key, now: dt.datetime, days: int):  # type: ignore[no-untyped-def]
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))  # clocks differ a little
        .not_valid_after(now + dt.timedelta(days=days))
    )
