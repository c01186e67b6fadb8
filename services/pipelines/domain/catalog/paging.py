"""One page of a list: its size, order and filter, and a token that goes on behind the last item as the list grows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from libs.base.errors import BadRequest
from services.pipelines.domain.catalog.filters import Predicate, Value, predicates

SIZE, SIZE_MAX = 20, 200
TOKEN_MAX = 8192


@dataclass(frozen=True)
class Page:
    """`after` is (value of the sorting key, id) of the last item that was seen; `stamp` tells filters apart."""

    size: int = SIZE
    sort_by: str = "created_at"
    descending: bool = False
    predicates: tuple[Predicate, ...] = ()
    after: tuple[Value, str] | None = None
    stamp: str = ""

    def token(self, value: Value, id: str) -> str:
        """For the page behind the item that has this value under `sort_by`."""
        text = json.dumps([self.sort_by, self.descending, self.stamp, value, id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


def page(size: int, token: str, sort_by: str, filter: str, known: Mapping[str, type]) -> Page:
    """The page that the parameters of a request ask for; 0 is the usual size. Raises BadRequest.

    `known` names what the list can be sorted and filtered by.
    """
    if size < 0:
        raise BadRequest(f"page_size: {size} is less than 0")
    key, descending = _order(sort_by, known)
    stamp = hashlib.sha256(filter.encode(errors="replace")).hexdigest()[:16] if filter else ""
    after = _after(token, (key, descending, stamp), known[key]) if token else None
    return Page(min(size or SIZE, SIZE_MAX), key, descending, predicates(filter, known), after, stamp)


def _order(sort_by: str, known: Mapping[str, type]) -> tuple[str, bool]:
    words = sort_by.split()
    if not words:
        return "created_at", False
    key, direction = words[0], words[1].lower() if len(words) > 1 else "asc"
    if key not in known or direction not in ("asc", "desc") or len(words) > 2:
        raise BadRequest(f"sort_by: {sort_by!r} is not `KEY` or `KEY desc` with one of {', '.join(sorted(known))}")
    return key, direction == "desc"


def _after(token: str, asked: tuple[str, bool, str], kind: type) -> tuple[Value, str]:
    try:
        if len(token) > TOKEN_MAX:
            raise ValueError
        *of, value, id = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadRequest("page_token: not one that this server gave") from None
    if tuple(of) != asked:
        raise BadRequest("page_token: it belongs to a list with another sort_by or filter")
    if not isinstance(value, str | int) or type(value) is not kind or type(id) is not str or "\x00" in f"{value}{id}":
        raise BadRequest("page_token: not one that this server gave")
    return value, id
