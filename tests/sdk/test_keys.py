"""Keys, passwords and certificates of a home: made once, kept, readable by their owner alone, renewed in time."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from millstream import keys
from millstream.home import Home, write_private

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificate_is_for_this_machine_and_signed_by_the_homes_own_authority(home: Home) -> None:
    ca, cert, key = keys.certificates(home, NOW)
    names = _read(cert).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    _read(cert).verify_directly_issued_by(_read(ca))
    private = load_pem_private_key(key.read_bytes(), None)
    assert private.public_key() == _read(cert).public_key()


def test_openssl_takes_authority_certificate_and_key(home: Home) -> None:
    ca, cert, key = keys.certificates(home, NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    ssl.create_default_context(cafile=str(ca))


def test_certificates_are_kept_until_their_last_month_and_then_renewed_under_the_same_authority(home: Home) -> None:
    ca, cert, _ = keys.certificates(home, NOW)
    first, authority = cert.read_bytes(), ca.read_bytes()
    keys.certificates(home, NOW + dt.timedelta(days=300))
    assert cert.read_bytes() == first
    later = NOW + dt.timedelta(days=380)
    keys.certificates(home, later)
    assert cert.read_bytes() != first and _read(cert).not_valid_after_utc > later + dt.timedelta(days=300)
    assert ca.read_bytes() == authority, "clients that trust the home must go on trusting it"
    _read(cert).verify_directly_issued_by(_read(ca))


def test_a_lost_key_is_made_anew(home: Home) -> None:
    _, cert, key = keys.certificates(home, NOW)
    first = cert.read_bytes()
    key.unlink()
    keys.certificates(home, NOW)
    assert key.exists() and cert.read_bytes() != first


def test_the_identity_key_is_an_ed25519_pair_and_is_kept(home: Home) -> None:
    private, public = keys.identity_keys(home)
    assert load_pem_private_key(private.encode(), None).public_key() == load_pem_public_key(public.encode())
    assert keys.identity_keys(home) == (private, public)


def test_passwords_are_kept_and_only_missing_ones_are_drawn(home: Home) -> None:
    first = keys.passwords(home, ["trainer", "s3"])
    both = keys.passwords(home, ["trainer", "serving"])
    assert both["trainer"] == first["trainer"] and len({*both.values()}) == 3
    assert all(len(password) >= 32 for password in both.values())


def test_the_token_is_kept(home: Home) -> None:
    token = keys.local_token(home)
    assert len(token) > 40 and keys.local_token(home) == token


def test_no_secret_is_readable_by_anybody_else(home: Home) -> None:
    old = os.umask(0)
    try:
        keys.certificates(home, NOW)
        keys.identity_keys(home)
        keys.passwords(home, ["s3"])
        keys.local_token(home)
    finally:
        os.umask(old)
    files = [path for path in home.path.rglob("*") if path.is_file()]
    assert len(files) >= 7
    assert {path: oct(_mode(path)) for path in files if _mode(path) != 0o600} == {}
    assert _mode(home.path) == 0o700


def test_a_file_is_written_as_a_whole_and_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    write_private(path, "one")
    path.chmod(0o644)
    write_private(path, "two")
    assert path.read_text() == "two" and _mode(path) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
