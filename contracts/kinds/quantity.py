"""Kubernetes resource quantities ("500m", "1Gi", 1, 1.0) as numbers; keeps what the client wrote, never rewrites it."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, StrictFloat, StrictInt, StrictStr

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d{1,2}))?", re.ASCII)
MOST = 2**63 - 1
"""Kubernetes knows no greater quantity, and whoever counts in 64 bits is not overrun by one."""
_SUFFIX: dict[str | None, Decimal] = {
    None: Decimal(1), "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}  # fmt: skip


def amount(value: str | int | float) -> Decimal:
    """The value in base units (cores, bytes, pieces). Raises ValueError for what Kubernetes would not parse."""
    found = _FORM.fullmatch(str(value))
    if isinstance(value, bool) or not found:
        raise ValueError(f"{value!r} is not a quantity; write for example 2, 0.5, 500m, 512Mi or 1Gi")
    number, suffix, exponent = found.groups()
    read = Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIX[suffix])
    if abs(read) > MOST:
        raise ValueError(f"{str(value)[:40]!r} is greater than any quantity can be; write at most {MOST}")
    return read


def _checked(value: str | int | float) -> str | int | float:
    if amount(value) < 0:
        raise ValueError(f"{value!r} must not be negative")
    return value


Quantity = Annotated[StrictInt | StrictFloat | StrictStr, AfterValidator(_checked)]
QuantityText = Annotated[str, AfterValidator(_checked)]
