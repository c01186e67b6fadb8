"""Asks whether somebody may have a pipeline's steps do what the service does for them: mount a Secret, run as another
account."""

from __future__ import annotations

from typing import Any

from libs.base.errors import Cause, Forbidden
from libs.service.identity import User
from services.pipelines.domain.catalog.lending import DEFAULT_ACCOUNT, POD, Use, uses
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.handlers.desk import Means


async def check(means: Means, user: Any, namespace: str, pipeline: Pipeline, account: str | None) -> None:
    """What the account of the run may read its steps may read. Raises Forbidden naming the field. None is the service
    itself, for which whoever asked has been asked about before."""
    wanted = tuple(uses(pipeline, account or ""))
    if user is None or not wanted or await means.may(user, POD.verb, POD.plural, namespace, ""):
        return
    for use in wanted:
        if not await _may(means, user, namespace, use):
            raise _refusal(user, namespace, use)


def account_of(namespace: str, account: str) -> User:
    """A service account as authorisers know it."""
    name = f"system:serviceaccount:{namespace}:{account or DEFAULT_ACCOUNT}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(name, groups)


async def _may(means: Means, user: Any, namespace: str, use: Use) -> bool:
    """Another account than the namespace's default one has taken leave to make pods already."""
    for who in (user, account_of(namespace, "")):
        if await means.may(who, use.verb, use.plural, namespace, use.name):
            return True
        if use.verb != "get":
            break
    return False


def _refusal(user: Any, namespace: str, use: Use) -> Forbidden:
    what = f'{use.plural} "{use.name}"' if use.name else use.plural
    rights = f"{use.verb} {what}" if use.plural == POD.plural else f"neither {use.verb} {what} nor create pods"
    cannot = "cannot" if use.plural == POD.plural else "may"
    told = f'User "{getattr(user, "name", user)}" {cannot} {rights} in the namespace "{namespace}"'
    return Forbidden(f"{use.field}: {told}", causes=[Cause(use.field, told)])
