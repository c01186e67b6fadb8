"""Certificates over the years, tried with real TLS handshakes at moments of a story that ends just now."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest
from millstream.cluster import authority, certificates
from millstream.cluster.authority import ANNOUNCED, AUTHORITY_LIFE, LEAF_LIFE, Authority, Pair

NAMES = certificates.names("trainer", "millstream-system")
DAY = dt.timedelta(days=1)
NEXT_AT = AUTHORITY_LIFE.days * 2 // 3
"""About the day on which the next authority is announced."""


@dataclass(frozen=True)
class State:
    """What is in the cluster's Secrets after a visit of the bootstrap."""

    authority: Authority
    leaf: Pair


def visited(before: State | None, now: dt.datetime) -> State:
    """As certificates.ensure does, on values."""
    keeper = authority.advanced(before.authority, now) if before else authority.founded(now)
    if before and authority.good(before.leaf, keeper, NAMES, now):
        return State(keeper, before.leaf)
    return State(keeper, authority.issued(keeper, NAMES, now))


def story(days: int) -> list[State]:
    """A visit a day; the last of them is now, since OpenSSL knows no other clock."""
    now, state = dt.datetime.now(dt.UTC), None
    states = []
    for day in range(days, -1, -1):
        state = visited(state, now - day * DAY)
        states.append(state)
    return states


def shakes_hands(server: Pair, bundle: str, folder: Path, name: str = NAMES[2]) -> bool:
    """Whether a client that trusts `bundle` speaks with a server that shows `server`."""
    files = folder / "tls.crt", folder / "tls.key"
    for file, text in zip(files, (server.certificate, server.key), strict=True):
        file.write_text(text)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*files)
    asking = ssl.create_default_context(cadata=bundle)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=name)
    host = serving.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, host):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return client.version() is not None


@pytest.mark.parametrize("days", [0, 1, 59, 61, 90, NEXT_AT, NEXT_AT + 1, NEXT_AT + 2, 520, 580, 731, 740, 1300])
def test_on_every_day_whoever_reads_late_still_understands_whoever_reads_at_once(days: int, tmp_path: Path) -> None:
    states = story(days)
    today, yesterday = states[-1], states[-2] if days else states[-1]
    for server in (today, yesterday):
        for client in (today, yesterday):
            assert shakes_hands(server.leaf, client.authority.bundle, tmp_path)


def test_a_certificate_is_replaced_after_two_thirds_of_its_life_and_an_authority_too() -> None:
    states = story(NEXT_AT + 3)
    leaves = [day for day, (a, b) in enumerate(pairwise(states), 1) if a.leaf != b.leaf]
    assert leaves[:3] == [60, 120, 180]
    trusted = [len(state.authority.trusted) for state in states]
    assert trusted[: NEXT_AT - 1] == [1] * (NEXT_AT - 1) and trusted[-1] == 2
    announced = trusted.index(2)
    assert states[announced].authority.next and states[announced].leaf == states[announced - 1].leaf
    assert states[announced + 1].authority.next is None and states[announced + 1].leaf != states[announced].leaf


def test_an_authority_is_forgotten_when_it_has_expired() -> None:
    assert len(story(AUTHORITY_LIFE.days - 2)[-1].authority.trusted) == 2
    assert len(story(AUTHORITY_LIFE.days + 2)[-1].authority.trusted) == 1


def test_it_is_believed_under_its_names_alone_and_by_those_who_trust_its_authority(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    state, foreign = visited(None, now), authority.founded(now)
    assert all(shakes_hands(state.leaf, state.authority.bundle, tmp_path, name) for name in NAMES)
    assert not shakes_hands(state.leaf, state.authority.bundle, tmp_path, "registry.millstream-system.svc")
    assert not shakes_hands(state.leaf, foreign.bundle, tmp_path)


def test_before_its_day_of_notice_is_over_no_authority_signs() -> None:
    now = dt.datetime.now(dt.UTC)
    told = authority.advanced(authority.founded(now), now, force=True)
    assert authority.advanced(told, now + ANNOUNCED - dt.timedelta(minutes=1)) == told
    signing = authority.advanced(told, now + ANNOUNCED)
    assert signing.current == told.next and signing.trusted == told.trusted


@pytest.mark.parametrize("damage", ["other names", "other key", "no certificate", "other authority", "almost over"])
def test_a_certificate_that_will_not_do_is_replaced(damage: str) -> None:
    now = dt.datetime.now(dt.UTC)
    keeper = authority.founded(now)
    leaf, names, at = authority.issued(keeper, NAMES, now), list(NAMES), now
    assert authority.good(leaf, keeper, names, at)
    if damage == "other names":
        names.append("trainer.elsewhere")
    elif damage == "other key":
        leaf = replace(leaf, key=authority.issued(keeper, NAMES, now).key)
    elif damage == "no certificate":
        leaf = Pair("", "")
    elif damage == "other authority":
        keeper = authority.founded(now)
    else:
        at = now + LEAF_LIFE * 2 / 3
    assert not authority.good(leaf, keeper, names, at)


def test_a_secret_holds_an_authority_whole() -> None:
    now = dt.datetime.now(dt.UTC)
    for keeper in (authority.founded(now), authority.advanced(authority.founded(now), now, force=True)):
        assert certificates.authority_of(certificates.texts_of(keeper)) == keeper
