"""What a kind is, declared once: names, model, columns and rules; it must not assume a store, a server or any
particular kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request

    from contracts.envelope import Event
    from libs.resources.protobuf import Table
    from libs.resources.transaction import Transaction

Object = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE"]
Op = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class Column:
    """A printer column. `value` is a JSONPath such as `.status.phase`, or a function of the object and the time now."""

    name: str
    type: str
    value: str | Callable[[Object, datetime], Any]
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Admission:
    """What an `admit` function may know besides the objects: who asks for which operation, and whether it is a
    rehearsal.
    """

    user: Any
    operation: Operation
    dry_run: bool
    namespace: str
    now: datetime


@dataclass(frozen=True, order=True)
class Right:
    """What whoever writes an object must be allowed besides, since its service will do it on their behalf.

    `because` names the field that asks for it, as the answer tells whoever may not.
    """

    verb: str
    group: str
    version: str
    plural: str
    namespace: str
    because: str
    namespaced: ClassVar[bool] = True


@dataclass(frozen=True)
class Scale:
    """Where the `scale` subresource finds its numbers; paths are dotted, `selector` gives the label selector
    as text.
    """

    spec_path: str = "spec.replicas"
    status_path: str = "status.replicas"
    selector: Callable[[Object], str] = lambda obj: ""


@dataclass(frozen=True, eq=False)
class Subresource:
    """A further route below an object, such as `pods/log`; the handler gets the request and the object as stored."""

    kind: Kind
    name: str
    methods: Sequence[str]
    handler: Callable[[Request, Object], Any]  # an awaitable Response, or a dict to be answered as JSON
    returns: str = "Status"


def unchanged(obj: Object, old: Object | None, admission: Admission) -> Object:
    return obj


def no_more(obj: Object, old: Object | None) -> frozenset[Right]:
    return frozenset()


def silent(op: Op, obj: Object, old: Object | None) -> Sequence[Event]:
    return ()


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind in the Kubernetes API conventions; compared by identity, so declare each once and pass it around.

    `model` validates the whole object; `schema` (an OpenAPI v3 dict) is used where there is no model. `admit` is pure:
    it gets the new object and the old one (None on create), returns the object to store and raises `Invalid`. `events`
    names the domain events of a change; they are said in the same transaction. `finalizer` is put on every new object.
    `rights` tells from the new object and the old one what else the asker must be allowed. `keep` is awaited in the
    transaction of each change, before it is stored, where a service keeps more than the object: it returns what to
    store, may raise ApiErrors, and writes nothing where `tx.dry_run` says that it is a rehearsal.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool = True
    model: type[BaseModel] | None = None
    schema: Object | None = None
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("all",)
    columns: tuple[Column, ...] = ()
    only_columns: bool = False  # of a list nothing but `columns` is shown: names that nobody chose say nothing
    status_subresource: bool = True
    takes_past_status: bool = False  # see libs.resources.writing.patch
    finalizer: str | None = None
    admit: Callable[[Object, Object | None, Admission], Object] = unchanged
    events: Callable[[Op, Object, Object | None], Sequence[Event]] = silent
    rights: Callable[[Object, Object | None], frozenset[Right]] = no_more
    keep: Callable[[Transaction, Op, Object, Object | None], Awaitable[Object]] | None = None
    scale: Scale | None = None
    name_is_label: bool = False  # DNS label (63 characters, no dots) instead of a DNS subdomain
    description: str = ""
    protobuf: Table | None = None  # how typed clients write it; without a table it is read as JSON and YAML alone

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """The URL prefix of the group version, without a slash at either end: `apis/apps/v1`."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def builtin(self) -> bool:
        """Built-in groups take strategic merge patches and have well-known list keys."""
        return "." not in self.group or self.group.endswith(".k8s.io")
