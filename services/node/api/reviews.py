"""What services and people ask a cluster about users: TokenReview, SubjectAccessReview, and both about oneself.

A review is an answer, never stored. Only the platform's services and the home's owner may ask about others, as on a
cluster the ClusterRole system:auth-delegator lets them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.base.errors import ApiError, BadRequest, Forbidden, Unauthorized
from libs.resources import bodies, protobuf
from libs.resources.answers import failure, json_answer
from libs.service.identity import User
from services.node.api.access import Access, Wish, is_platform

Object = dict[str, Any]
Ask = Callable[[Mapping[str, str]], Awaitable[User | None]]

TOKENS, RIGHTS = "authentication.k8s.io/v1", "authorization.k8s.io/v1"
MESSAGES = protobuf.table("""
SelfSubjectReview: 1 metadata ObjectMeta
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec
SelfSubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
SubjectAccessReview: 1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec
SubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
SubjectAccessReviewSpec: 3 user, 4 groups [], 6 uid
ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name
NonResourceAttributes: 1 path, 2 verb
TokenReview: 1 metadata ObjectMeta, 2 spec TokenReviewSpec
TokenReviewSpec: 1 token, 2 audiences []
""")


class Reviews:
    """`ask` tells whom headers speak for, `access` what a user may do."""

    def __init__(self, ask: Ask, access: Access) -> None:
        self._ask, self._access = ask, access

    def routes(self) -> list[Route]:
        answers = {
            f"/apis/{TOKENS}/tokenreviews": self._token,
            f"/apis/{TOKENS}/selfsubjectreviews": self._myself,
            f"/apis/{RIGHTS}/subjectaccessreviews": self._access_of,
            f"/apis/{RIGHTS}/selfsubjectaccessreviews": self._my_access,
        }
        return [Route(path, _endpoint(answer), methods=["POST"]) for path, answer in answers.items()]

    async def _token(self, user: User, review: Object) -> Object:
        _only_platform(user, "tokenreviews.authentication.k8s.io")
        token = str(_spec(review).get("token") or "")
        try:
            found = await self._ask({"authorization": f"Bearer {token}"}) if token else None
        except Unauthorized as error:
            return {"authenticated": False, "error": error.message}
        return {"authenticated": True, "user": _told(found)} if found else {"authenticated": False}

    async def _myself(self, user: User, review: Object) -> Object:
        return {"userInfo": _told(user)}

    async def _access_of(self, user: User, review: Object) -> Object:
        _only_platform(user, "subjectaccessreviews.authorization.k8s.io")
        spec = _spec(review)
        return await self._decide(User(str(spec.get("user") or ""), tuple(spec.get("groups") or ())), spec)

    async def _my_access(self, user: User, review: Object) -> Object:
        return await self._decide(user, _spec(review))

    async def _decide(self, user: User, spec: Object) -> Object:
        wanted = spec.get("resourceAttributes")
        if not isinstance(wanted, dict):
            # Paths that are no objects: discovery and health, open to all who proved who they are.
            return {"allowed": "system:authenticated" in user.groups}
        wish = Wish.of(wanted)
        return {"allowed": self._access.allows(user, wish)}


def _endpoint(answer: Callable[[User, Object], Awaitable[Object]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            content_type = bodies.media_type(request.headers.get("content-type"))
            review = bodies.decode(await request.body(), content_type, messages=MESSAGES)
            if not isinstance(review, dict):
                raise BadRequest("the body must be a review")
            return json_answer({**review, "status": await answer(request.state.user, review)}, 201)
        except ApiError as error:
            return failure(error)

    return endpoint


def _spec(review: Object) -> Object:
    spec = review.get("spec")
    if not isinstance(spec, dict):
        raise BadRequest("spec: is required")
    return spec


def _told(user: User) -> Object:
    return {"username": user.name, "groups": list(user.groups)}


def _only_platform(user: User, resource: str) -> None:
    if not is_platform(user):
        raise Forbidden(f'{resource} is forbidden: User "{user.name}" may not ask about others')
