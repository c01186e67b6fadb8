"""Collects what is wrong with an object and refuses it in one go; pure."""

import re
from collections.abc import Iterable
from typing import Any

from libs.base.errors import Cause, Invalid
from services.node.domain.quantity import quantity

Object = dict[str, Any]
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_ENV = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


class Checks:
    """Causes so far; `done` raises Invalid when there are any."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def wrong(self, field: str, value: Any, why: str) -> None:
        self.causes.append(Cause(field, f"Invalid value: {value!r}: {why}"))

    def required(self, field: str, why: str = "") -> None:
        self.causes.append(Cause(field, f"Required value{': ' + why if why else ''}", "FieldValueRequired"))

    def one_of(self, field: str, value: Any, allowed: Iterable[str]) -> None:
        known = list(allowed)
        if value not in known:
            told = f"Unsupported value: {value!r}: supported values: {', '.join(known)}"
            self.causes.append(Cause(field, told, "FieldValueNotSupported"))

    def label(self, field: str, value: Any) -> None:
        if not isinstance(value, str) or not _LABEL.fullmatch(value):
            why = "must be a DNS label: at most 63 lower case letters, digits and '-', a letter or digit at each end"
            self.wrong(field, value, why)

    def env_name(self, field: str, value: Any) -> None:
        if not isinstance(value, str) or not _ENV.fullmatch(value):
            self.wrong(field, value, "must be letters, digits, '_', '-' or '.', and not start with a digit")

    def data_keys(self, field: str, data: Object | None) -> None:
        """Keys become file names."""
        for key in data or {}:
            if not _KEY.fullmatch(key) or key == "." or key.startswith(".."):
                self.wrong(f"{field}[{key}]", key, "must be letters, digits, '-', '_' or '.', and not start with '..'")

    def inside(self, field: str, path: Any) -> None:
        """A path below the volume it is in."""
        if not isinstance(path, str) or not path or path.startswith("/") or ".." in path.split("/"):
            self.wrong(field, path, "must be a relative path that does not contain '..'")

    def port(self, field: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
            self.wrong(field, value, "must be between 1 and 65535, inclusive")

    def at_least(self, field: str, value: Any, least: int = 0) -> None:
        if value is not None and value < least:
            self.wrong(field, value, f"must be greater than or equal to {least}")

    def amounts(self, field: str, amounts: Object | None) -> None:
        for name, value in (amounts or {}).items():
            try:
                if quantity(value) < 0:
                    self.wrong(f"{field}[{name}]", value, "must be greater than or equal to 0")
            except ValueError as error:
                self.wrong(f"{field}[{name}]", value, str(error))

    def fixed(self, field: str, new: Any, old: Any) -> None:
        if new != old:
            self.wrong(field, new, "field is immutable")

    def done(self, resource: str, obj: Object) -> None:
        if self.causes:
            raise Invalid.about(resource, str(obj["metadata"].get("name", "")), causes=self.causes)
