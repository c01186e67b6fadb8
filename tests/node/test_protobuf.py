"""What kubectl writes as protobuf, taken from kubectl 1.37's own requests, read as the object it means."""

import pytest

from libs.base import BadRequest, UnsupportedMediaType
from libs.resources import protobuf
from services.node.domain.protobuf import MESSAGES

NAMESPACE = (
    "6b3873000a0f0a02763112094e616d657370616365121e0a160a067465616d2d6112001a0022002a0032003800420012001a020a001a002200"
)
SECRET = "6b3873000a0c0a0276311206536563726574121e0a120a02733112001a0022002a0032003800420012060a01611201621a001a002200"
DEPLOYMENT = (
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412d9010a1f0a0377656212001a0022002a003200380042"
    "005a0a0a03617070120377656212a7010802120c0a0a0a0361707012037765621a8c010a1c0a0012001a0022002a00320038"
    "0042005a0a0a036170701203776562126c124e0a06707974686f6e120b707974686f6e3a332e31311a06707974686f6e1a02"
    "2d6d1a0b687474702e7365727665722a00320a0a001000185022002a0042006a007200800100880100900100a201001a0032"
    "0042004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a0022"
    "00"
)
SERVICE = (
    "6b3873000a0d0a02763112075365727669636512690a1f0a0377656212001a0022002a003200380042005a0a0a0361707012"
    "0377656212420a1b0a0738302d38303030120354435018502207080010c03e1a002800120a0a0361707012037765621a0022"
    "09436c757374657249503a00420052005a00600068001a020a001a002200"
)
JOB = (
    "6b3873000a0f0a0862617463682f763112034a6f621298010a140a046f6e636512001a0022002a0032003800420012763274"
    "0a100a0012001a0022002a003200380042001260123d0a046f6e6365120b707974686f6e3a332e31311a06707974686f6e1a"
    "022d631a087072696e742832292a0042006a007200800100880100900100a201001a054e65766572320042004a0052005800"
    "600068008201008a01009a0100c201001a082000280030003a001a002200"
)


def _read(hexed: str) -> dict[str, object]:
    return protobuf.decode(bytes.fromhex(hexed), MESSAGES)


def test_what_go_writes_though_it_is_empty_is_absent() -> None:
    assert _read(NAMESPACE) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}


def test_secrets_keep_their_bytes_as_base64() -> None:
    told = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s1"}, "data": {"a": "Yg=="}}
    assert _read(SECRET) == told


def test_a_deployment_comes_with_its_pods() -> None:
    container = {
        "name": "python",
        "image": "python:3.11",
        "command": ["python", "-m", "http.server"],
        "ports": [{"containerPort": 80}],
    }
    assert _read(DEPLOYMENT)["spec"] == {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
    }


def test_ports_are_numbers_or_names() -> None:
    spec = _read(SERVICE)["spec"]
    assert isinstance(spec, dict)
    assert spec["ports"] == [{"name": "80-8000", "protocol": "TCP", "port": 80, "targetPort": 8000}]
    assert spec["type"] == "ClusterIP"


def test_a_job_is_read() -> None:
    told = _read(JOB)
    assert told["apiVersion"] == "batch/v1"
    assert isinstance(told["spec"], dict) and told["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_a_field_that_no_table_names_is_refused_and_not_dropped() -> None:
    body = bytes.fromhex(NAMESPACE).replace(b"\x22\x00", b"\x7a\x00", 1)
    with pytest.raises(UnsupportedMediaType, match="field 15 of ObjectMeta"):
        protobuf.decode(body, MESSAGES)


def test_kinds_without_a_table_say_what_to_do() -> None:
    body = bytes.fromhex(NAMESPACE).replace(b"Namespace", b"Namespice")
    with pytest.raises(UnsupportedMediaType, match="Namespice as protobuf: use `kubectl create"):
        protobuf.decode(body, MESSAGES)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_body_that_ends_too_early_is_a_bad_request(cut: int) -> None:
    body = bytes.fromhex(DEPLOYMENT)
    with pytest.raises((BadRequest, UnsupportedMediaType)):
        protobuf.decode(body[: len(body) - 5 - cut], MESSAGES)


def test_every_message_that_a_field_names_has_a_table() -> None:
    plain = {"", "int", "bool", "bytes", "time", "quantity", "port"}
    named = {field.type for fields in MESSAGES.values() for field in fields.values()}
    assert named <= plain | set(MESSAGES)
