"""Errors that a client may see, rendered as Kubernetes `Status` objects; they know nothing of HTTP but the code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self


class MillstreamError(Exception):
    """The root of all errors that the platform raises on purpose."""


@dataclass(frozen=True)
class Cause:
    """One field that is wrong: `field` is a path such as `spec.trainer.numNodes`, `reason` a Kubernetes `CauseType`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def body(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(MillstreamError):
    """An answer other than success. `details` are the Status object's: `name`, `group`, `kind` (the plural), `uid`."""

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str = "",
        *,
        causes: Sequence[Cause] = (),
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.causes = list(causes)
        self.message = message or _message_of(self.causes) or self.reason
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    @classmethod
    def about(cls, resource: str, name: str, message: str = "", *, causes: Sequence[Cause] = ()) -> Self:
        """About one object; `resource` is `plural.group` (`pods` in the core group), worded as kubectl does."""
        text = f'{resource} "{name}" {message or _message_of(causes)}'
        return cls(text, causes=causes, details=_details(resource, name))

    def status(self) -> dict[str, Any]:
        """A `meta/v1` Status object, ready for JSON."""
        details = {k: v for k, v in self.details.items() if v}
        if self.causes:
            details["causes"] = [cause.body() for cause in self.causes]
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": self.code,
        }


class _Told(ApiError):
    """An ApiError whose `about` has its usual wording."""

    wording: ClassVar[str] = ""

    @classmethod
    def about(cls, resource: str, name: str, message: str = "", *, causes: Sequence[Cause] = ()) -> Self:
        return super().about(resource, name, message or cls.wording, causes=causes)


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(_Told):
    code, reason, wording = 404, "NotFound", "not found"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class AlreadyExists(_Told):
    code, reason, wording = 409, "AlreadyExists", "already exists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def about(cls, resource: str, name: str, message: str = "", *, causes: Sequence[Cause] = ()) -> Self:
        why = message or "the object has been modified; please apply your changes to the latest version and try again"
        text = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
        return cls(text, causes=causes, details=_details(resource, name))


class Gone(ApiError):
    """The asked resourceVersion was trimmed from the change log: list again. Kubernetes' reason for it is `Expired`."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"

    @classmethod
    def about(cls, resource: str, name: str, message: str = "", *, causes: Sequence[Cause] = ()) -> Self:
        return super().about(resource, name, f"is invalid: {message or _message_of(causes)}", causes=causes)


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class Internal(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


_KNOWN: tuple[type[ApiError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, AlreadyExists, Conflict, Gone, TooLarge,
    UnsupportedMediaType, Invalid, TooManyRequests, Internal, Unavailable,
)  # fmt: skip


def error_from_status(status: Mapping[str, Any]) -> ApiError:
    """The error that a Status object tells of, as another API server sent it; by reason first, then by code."""
    code, reason = int(status.get("code") or 500), str(status.get("reason") or "")
    details = dict(status.get("details") or {})
    told = details.pop("causes", None) or []
    causes = [Cause(c.get("field", ""), c.get("message", ""), c.get("reason", "FieldValueInvalid")) for c in told]
    retry = details.pop("retryAfterSeconds", None)
    kind = _class_for(code, reason)
    error = kind(str(status.get("message") or ""), causes=causes, details=details, retry_after_s=retry)
    error.code, error.reason = code, reason or kind.reason
    return error


def _class_for(code: int, reason: str) -> type[ApiError]:
    by_reason = (kind for kind in _KNOWN if kind.reason == reason)
    by_code = (kind for kind in _KNOWN if kind.code == code)
    return next(by_reason, None) or next(by_code, ApiError)


def _details(resource: str, name: str) -> dict[str, str]:
    plural, _, group = resource.partition(".")
    return {"name": name, "group": group, "kind": plural}


def _message_of(causes: Sequence[Cause]) -> str:
    told = [f"{c.field}: {c.message}" if c.field else c.message for c in causes]
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]" if told else ""
