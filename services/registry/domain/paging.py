"""One page of a list: its size, its order, and a token that continues after the last item however the list grows."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Literal

from services.registry.domain.errors import bad_request
from services.registry.domain.forms import MAX_INT64

OrderBy = Literal["ID", "CREATE_TIME", "LAST_UPDATE_TIME", "NAME"]
SortOrder = Literal["ASC", "DESC"]
MAX_PAGE = 1000


@dataclass(frozen=True)
class Page:
    """`after` is (value of the order column, id) of the last item seen."""

    size: int = 100
    order_by: OrderBy = "ID"
    descending: bool = False
    after: tuple[int | str, int] | None = None


def page(size: int, order_by: OrderBy, sort_order: SortOrder, token: str | None) -> Page:
    descending = sort_order == "DESC"
    after = _after(token, order_by, descending) if token else None
    return Page(min(size, MAX_PAGE), order_by, descending, after)


def token_after(this: Page, value: int | str, id: int) -> str:
    text = json.dumps([this.order_by, this.descending, value, id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _after(token: str, order_by: OrderBy, descending: bool) -> tuple[int | str, int]:
    try:
        order, direction, value, id = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise bad_request("nextPageToken is not one that this server gave") from error
    if order != order_by or direction is not descending:
        raise bad_request("nextPageToken belongs to a list in another order")
    if type(id) is not int or type(value) is not (str if order_by == "NAME" else int):
        raise bad_request("nextPageToken is not one that this server gave")
    if any(isinstance(part, int) and not 0 <= part <= MAX_INT64 for part in (value, id)) or "\x00" in str(value):
        raise bad_request("nextPageToken is not one that this server gave")
    return value, id
