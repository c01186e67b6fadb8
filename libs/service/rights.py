"""The `authorize` of Resources on a cluster: every request to a kind needs leave of the API server's authorisers."""

from __future__ import annotations

from typing import Any

from libs.resources.kinds import Kind, Right
from libs.resources.resources import Authorize
from libs.service.commands import BUS_USER
from libs.service.identity import User
from libs.service.reviews import Attributes, Reviews


def cluster_rights(reviews: Reviews) -> Authorize:
    """Asks for everybody but the bus, where the broker has decided who may publish which command.

    The bus is known by identity, not by its name, which a user might bear.
    """

    async def authorize(user: Any, verb: str, kind: Kind | Right, namespace: str, name: str, part: str) -> bool:
        if user is BUS_USER:
            return True
        asking = user if isinstance(user, User) else User(user.name, tuple(user.groups))
        return await reviews.allows(
            asking, Attributes(verb, kind.group, kind.version, kind.plural, part, namespace, name)
        )

    return authorize
