"""What all desks of the REST API share: transactions, leave to do things, namespaces and names."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from contracts.envelope import Event
from libs.base.errors import BadRequest, Cause, Invalid, NotFound
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.ir.model import Pipeline as Compiled
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.ports import Needs

Say = Callable[[Event], None]
Begin = Callable[[], AbstractAsyncContextManager[tuple[Needs, Say]]]
"""Opens a write transaction: its needs, and how to say an event in it."""
Look = Callable[[], AbstractAsyncContextManager[Needs]]
"""Opens a consistent reading view."""
Allow = Callable[[Any, str, str, str, str], Awaitable[None]]
"""Asked as (user, verb, plural, namespace, name or ""); raises Forbidden. The plurals are those of the API group
pipelines.kubeflow.org by which KFP's own server asks: pipelines, experiments, runs, jobs for recurring runs."""
May = Callable[[Any, str, str, str, str], Awaitable[bool]]
"""The same of the core group's kinds, such as pods and secrets; answers instead of raising."""
Compile = Callable[[Document], Awaitable[tuple[Compiled, Document]]]
"""Reads a compiled pipeline and says how it is stored, in KFP's canonical form. Raises SpecError. Large ones take
seconds, so it is no part of a transaction."""

Object = dict[str, Any]
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Means:
    """`namespace` is where things go that name none: KFP's clients often do not. `home` is the URI below which every
    namespace keeps the outputs of its runs."""

    begin: Begin
    look: Look
    allow: Allow
    may: May
    compile: Compile
    home: str
    namespace: str = "default"
    exits_s: float = 600.0
    """How long exit tasks may take of a run that says nothing about it."""

    def space(self, sent: str | None) -> str:
        """The namespace that is meant. Raises BadRequest for what no namespace is called."""
        if not sent:
            return self.namespace
        if not _LABEL.fullmatch(sent):
            raise BadRequest(f"namespace: {sent!r} is not a name of lower-case letters, digits and -, at most 63")
        return sent

    async def check(self, document: Document, field: str = "pipeline_spec") -> tuple[Compiled, Document]:
        """Raises Invalid naming every field that is wrong."""
        try:
            return await self.compile(document)
        except SpecError as error:
            raise refused(error, field) from None


def refused(error: SpecError, field: str = "") -> Invalid:
    """The problems as the API tells them; `field` is where in the request the paths begin."""
    inside = f"{field}." if field else ""
    causes = [Cause(f"{inside}{problem.field}".rstrip("."), problem.message) for problem in error.problems]
    return Invalid(str(error), causes=causes)


def name_of(*sent: str | None, field: str = "display_name") -> str:
    """The first name that was given. Raises BadRequest for none, or one that cannot be seen."""
    found = next((name for name in sent if name), "")
    if not found.strip():
        raise BadRequest(f"{field}: a name is missing")
    return found


def there(found: Any, what: str, id: str) -> Any:
    """Raises NotFound for None."""
    if found is None:
        raise NotFound(f"{what} {id!r} not found")
    return found


def changed(item: Any, sent: Mapping[str, Any], *names: str) -> None:
    """Sets those of the fields that were sent."""
    for name in names:
        if sent.get(name) is not None:
            setattr(item, name, sent[name])
