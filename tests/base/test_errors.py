"""What a client reads when something is wrong."""

import pytest

from libs.base import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Cause,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    error_from_status,
)

JOBS = "trainjobs.trainer.kubeflow.org"


def test_a_missing_object_is_told_as_kubernetes_tells_it():
    assert NotFound.about(JOBS, "digits").status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'trainjobs.trainer.kubeflow.org "digits" not found',
        "reason": "NotFound",
        "details": {"name": "digits", "group": "trainer.kubeflow.org", "kind": "trainjobs"},
        "code": 404,
    }


def test_an_object_of_the_core_group_has_no_group_in_its_details():
    assert AlreadyExists.about("pods", "a").status()["details"] == {"name": "a", "kind": "pods"}


def test_a_conflict_asks_to_try_again():
    assert Conflict.about(JOBS, "digits").message.startswith(
        'Operation cannot be fulfilled on trainjobs.trainer.kubeflow.org "digits": the object has been modified'
    )


def test_an_invalid_object_names_each_field():
    one, two = Cause("spec.a", "must be positive"), Cause("spec.b", "Required value", reason="FieldValueRequired")
    error = Invalid.about(JOBS, "digits", causes=[one, two])
    assert (
        error.message
        == 'trainjobs.trainer.kubeflow.org "digits" is invalid: [spec.a: must be positive, spec.b: Required value]'
    )
    assert error.status()["details"]["causes"] == [
        {"reason": "FieldValueInvalid", "message": "must be positive", "field": "spec.a"},
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.b"},
    ]


def test_one_cause_alone_is_the_message():
    assert Invalid(causes=[Cause("spec.a", "must be positive")]).message == "spec.a: must be positive"


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (BadRequest, 400, "BadRequest"),
        (Unauthorized, 401, "Unauthorized"),
        (Forbidden, 403, "Forbidden"),
        (NotFound, 404, "NotFound"),
        (MethodNotAllowed, 405, "MethodNotAllowed"),
        (AlreadyExists, 409, "AlreadyExists"),
        (Conflict, 409, "Conflict"),
        (Gone, 410, "Expired"),
        (TooLarge, 413, "RequestEntityTooLarge"),
        (UnsupportedMediaType, 415, "UnsupportedMediaType"),
        (Invalid, 422, "Invalid"),
        (Unavailable, 503, "ServiceUnavailable"),
    ],
)
def test_every_error_survives_the_way_over_the_wire(kind: type[ApiError], code: int, reason: str):
    sent = kind("why", causes=[Cause("f", "m")], details={"name": "x"}, retry_after_s=3)
    came = error_from_status(sent.status())
    assert type(came) is kind
    assert (came.code, came.reason, came.message) == (code, reason, "why")
    assert (came.causes, came.details, came.retry_after_s) == (sent.causes, {"name": "x"}, 3)


def test_an_unknown_reason_is_read_by_its_code():
    came = error_from_status({"code": 404, "reason": "NeverHeardOf", "message": "no"})
    assert isinstance(came, NotFound)
    assert came.status()["reason"] == "NeverHeardOf"


def test_an_unknown_code_stays_itself():
    assert error_from_status({"code": 418, "message": "teapot"}).status()["code"] == 418
