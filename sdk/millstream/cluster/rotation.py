"""How one secret follows another without a moment at which somebody holds a wrong one; values only, no clock.

announce: the next is accepted beside the present one. switch: the next is used, the former still accepted. retire: the
former is accepted no longer. Each step may be repeated; between two of them everybody must have read the new state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace

from millstream.cluster.authority import Authority, advanced
from millstream.cluster.ledger import IDENTITY, NEXT, OLD, S3, TOKEN, Ledger, made
from millstream.errors import ClientError

STEPS = ("announce", "switch", "retire")
AUTHORITY, ADMIN_TOKEN = "authority", "token"
PREFIXES: Mapping[str, str] = {"identity": IDENTITY, "nats": "nats.", "postgres": "postgres.", "s3": S3}
"""What can be rotated in the ledger -> how its entries begin."""
SUBJECTS = (*PREFIXES, ADMIN_TOKEN, AUTHORITY)


def rotated(ledger: Ledger, subject: str, step: str) -> dict[str, str]:
    """The ledger after one step. Raises ClientError when the step before has not been taken."""
    if subject == ADMIN_TOKEN:
        return {**ledger, TOKEN: made(TOKEN)} if step == "switch" else dict(ledger)
    after = dict(ledger)
    for entry in _entries(ledger, PREFIXES[subject]):
        _STEPS[step](after, entry)
    return after


def _entries(ledger: Ledger, prefix: str) -> list[str]:
    return [entry for entry in ledger if entry.startswith(prefix) and not entry.endswith((NEXT, OLD))]


def _announce(ledger: dict[str, str], entry: str) -> None:
    if entry + OLD in ledger:
        raise ClientError(f"the former {entry} is still accepted: retire it first")
    if entry + NEXT not in ledger:
        ledger[entry + NEXT] = made(entry, ledger[entry])


def _switch(ledger: dict[str, str], entry: str) -> None:
    if entry + NEXT in ledger:
        ledger[entry + OLD], ledger[entry] = ledger[entry], ledger.pop(entry + NEXT)
    elif entry + OLD not in ledger:
        raise ClientError(f"no next {entry} is announced: announce it first")


def _retire(ledger: dict[str, str], entry: str) -> None:
    if entry + NEXT in ledger:
        raise ClientError(f"the next {entry} is announced, but not in use: switch first")
    ledger.pop(entry + OLD, None)


_STEPS: Mapping[str, Callable[[dict[str, str], str], None]] = dict(
    zip(STEPS, (_announce, _switch, _retire), strict=True)
)


def authority_step(step: str) -> Callable[[Authority, dt.datetime], Authority]:
    """The same for the authority of the certificates; left alone, an announced one takes over by itself a day later."""
    return {"announce": _announce_authority, "switch": _switch_authority, "retire": _retire_authority}[step]


def _announce_authority(authority: Authority, now: dt.datetime) -> Authority:
    return authority if authority.next else advanced(authority, now, force=True)


def _switch_authority(authority: Authority, now: dt.datetime) -> Authority:
    if authority.next is None:
        raise ClientError("no next authority is announced: announce it first")
    return replace(authority, current=authority.next, next=None)


def _retire_authority(authority: Authority, now: dt.datetime) -> Authority:
    if authority.next is not None:
        raise ClientError("the next authority is announced, but does not sign yet: switch first")
    return replace(authority, trusted=(authority.current.certificate,))
