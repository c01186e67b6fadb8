"""Wrong requests to a running platform: each is refused with a code, a field and a remedy, and leaves nothing."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from millstream import messages
from millstream.client import Client

from contracts.envelope import structured, subject_of
from tests.platform import Platform, until

TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
JOBS = f"{TRAINER}/namespaces/default/trainjobs"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"
CORE = "/api/v1/namespaces/default"
REGISTRY = "/api/model_registry/v1"
JSON = {"Content-Type": "application/json"}
PATCH = {kind: {"Content-Type": f"application/{kind}"} for kind in ("merge-patch+json", "json-patch+json")}
YAML = {"Content-Type": "application/yaml"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
DEPTH = 100_000
DEEP = "300 lists in one another"


def job(metadata: Any = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "bad"} if metadata is None else metadata,
        "spec": {"runtimeRef": {"name": "python"}, **spec},
    }


def isvc(**model: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "bad"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://a/b", **model}}},
    }


def core(kind: str, api: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "bad"}, **more}


Request = tuple[str, str, dict[str, Any], int, str]
"""Method, path, options, expected code, and a word that the message must hold (field or remedy)."""

MANIFESTS: dict[str, Request] = {
    "a job on -1 nodes": ("POST", JOBS, {"json": job(trainer={"numNodes": -1})}, 422, "spec.trainer.numNodes"),
    "a job on two nodes in words": ("POST", JOBS, {"json": job(trainer={"numNodes": "two"})}, 422, "two"),
    "a job with lots of cpu": (
        "POST", JOBS, {"json": job(trainer={"resourcesPerNode": {"limits": {"cpu": "lots"}}})}, 422, "500m"),
    "a job without a runtime": ("POST", JOBS, {"json": job() | {"spec": {}}}, 422, "spec.runtimeRef"),
    "a job without a name": ("POST", JOBS, {"json": job({})}, 422, "metadata.name"),
    "a name in capitals": ("POST", JOBS, {"json": job({"name": "Bad_Name"})}, 422, "metadata.name"),
    "metadata that is a list": ("POST", JOBS, {"json": job([])}, 400, "metadata"),
    "a label that is a number": ("POST", JOBS, {"json": job({"name": "bad", "labels": {"a": 1}})}, 422, "quotes"),
    "another namespace": ("POST", JOBS, {"json": job({"name": "bad", "namespace": "x"})}, 400, "metadata.namespace"),
    "an unknown field": ("POST", f"{JOBS}?fieldValidation=Strict", {"json": job(nonsense=1)}, 400, "spec.nonsense"),
    "a field given twice": (
        "POST", f"{JOBS}?fieldValidation=Strict",
        {"content": json.dumps(job())[:-1] + ',"spec":{}}', "headers": JSON}, 400, "spec"),
    "serving under a bad name": (
        "POST", JOBS,
        {"json": job({"name": "bad", "annotations": {"millstream.dev/model-name": "m",
                                                    "millstream.dev/serve-as": "No_Good"}})}, 422, "serve-as"),
    "the wrong kind": ("POST", JOBS, {"json": job() | {"kind": "Pod"}}, 400, "TrainJob"),
    "the wrong version": ("POST", JOBS, {"json": job() | {"apiVersion": "v9"}}, 400, "v1alpha1"),
    "a runtime of nothing": (
        "POST", f"{TRAINER}/clustertrainingruntimes",
        {"json": core("ClusterTrainingRuntime", "trainer.kubeflow.org/v1alpha1", spec={})}, 422, "framework"),
    "a service of nothing": ("POST", SERVICES, {"json": isvc() | {"spec": {}}}, 422, "spec.predictor"),
    "a pod without containers": ("POST", f"{CORE}/pods", {"json": core("Pod", spec={})}, 422, "spec.containers"),
    "a port beyond all ports": (
        "POST", f"{CORE}/services", {"json": core("Service", spec={"ports": [{"port": 99999}]})}, 422, "65535"),
    "a claim without a size": (
        "POST", f"{CORE}/persistentvolumeclaims", {"json": core("PersistentVolumeClaim", spec={})}, 422, "storage"),
    "a secret in plain text": ("POST", f"{CORE}/secrets", {"json": core("Secret", data={"a": "*"})}, 422, "stringData"),
    "a key that leads away": (
        "POST", f"{CORE}/configmaps", {"json": core("ConfigMap", data={"../../token": "x"})}, 422, "data[../../token]"),
    "a Job of nothing": (
        "POST", "/apis/batch/v1/namespaces/default/jobs", {"json": core("Job", "batch/v1", spec={})}, 422, "template"),
    "a Deployment of nothing": (
        "POST", "/apis/apps/v1/namespaces/default/deployments",
        {"json": core("Deployment", "apps/v1", spec={})}, 422, "template"),
    "a route of text": (
        "POST", "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes",
        {"json": core("HTTPRoute", "gateway.networking.k8s.io/v1", spec={"rules": "no"})}, 422, "spec.rules"),
}  # fmt: skip

BODIES: dict[str, Request] = {
    "half a JSON": ("POST", JOBS, {"content": b"{", "headers": JSON}, 400, "JSON"),
    "no body": ("POST", JOBS, {"content": b"", "headers": JSON}, 400, "JSON"),
    "bytes that are no text": ("POST", JOBS, {"content": b'{"a":"\xff"}', "headers": JSON}, 400, "JSON"),
    "a list": ("POST", JOBS, {"content": b"[]", "headers": JSON}, 400, "object"),
    "NUL": ("POST", JOBS, {"json": job(trainer={"command": ["a\0b"]})}, 400, "NUL"),
    "deep nesting": ("POST", JOBS, {"content": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, "headers": JSON}, 400, "depth"),
    "half a YAML": ("POST", JOBS, {"content": b"a: [", "headers": YAML}, 400, "YAML"),
    "YAML that would run": (
        "POST", JOBS, {"content": b"!!python/object/apply:os.system [id]", "headers": YAML}, 400, "YAML"),
    "text": ("POST", JOBS, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "application/json"),
    "protobuf": (
        "POST", JOBS, {"content": b"k8s\0x", "headers": {"Content-Type": "application/vnd.kubernetes.protobuf"}},
        415, "JSON"),
    "33 MiB": ("POST", JOBS, {"content": b" " * (33 << 20), "headers": JSON}, 413, "larger"),
    "9 MiB for the node": ("POST", f"{CORE}/configmaps", {"content": b" " * (9 << 20), "headers": JSON}, 413, "larger"),
}  # fmt: skip

URLS: dict[str, Request] = {
    "no such route": ("GET", "/nowhere", {}, 404, "/nowhere"),
    "no such group": ("GET", "/apis/nope.example/v1/things", {}, 404, "nope.example"),
    "no such version": ("GET", "/apis/trainer.kubeflow.org/v9/trainjobs", {}, 404, "v9"),
    "no such kind": ("GET", f"{TRAINER}/namespaces/default/nopes", {}, 404, "nopes"),
    "no such object": ("GET", f"{JOBS}/nope", {}, 404, "nope"),
    "no such part": ("GET", f"{JOBS}/nope/part", {}, 404, "part"),
    "no such model server": ("GET", "/serving/default/nope/v1/models", {}, 404, "nope"),
    "a NUL": ("GET", f"{JOBS}/%00", {}, 400, "control"),
    "a line break": ("GET", f"{JOBS}/a%0d%0aSet-Cookie:x", {}, 400, "control"),
    "dots": ("GET", "/api/v1/namespaces/%2e%2e/pods", {}, 400, ".."),
    "20,000 letters": ("GET", "/" + "a" * 20_000, {}, 414, "longer"),
    "a query of 20,000 letters": ("GET", f"{JOBS}?labelSelector={'a' * 20_000}", {}, 414, "longer"),
    "headers of 70,000 letters": ("GET", JOBS, {"headers": {"X-A": "a" * 70_000}}, 431, "headers"),
    "a PUT of a collection": ("PUT", JOBS, {"json": job()}, 405, "PUT"),
    "a POST of an object": ("POST", f"{JOBS}/x", {"json": job()}, 405, "POST"),
    "TRACE": ("TRACE", JOBS, {}, 405, "TRACE"),
    "a label selector nobody can read": ("GET", f"{JOBS}?labelSelector=a%20in%20(b", {}, 400, "key in (a, b)"),
    "a field selector nobody can read": ("GET", f"{JOBS}?fieldSelector=metadata.name", {}, 400, "path=value"),
    "a field that no job has": ("GET", f"{JOBS}?fieldSelector=colour%3Dred", {}, 400, "colour"),
    "a limit in words": ("GET", f"{JOBS}?limit=many", {}, 400, "limit"),
    "a token of another list": ("GET", f"{JOBS}?continue=eyJhIjoxfQ", {}, 400, "list again"),
    "a version in words": ("GET", f"{JOBS}?resourceVersion=new", {}, 400, "resourceVersion"),
    "a version of the future": ("GET", f"{JOBS}?resourceVersion=999999999", {}, 410, "list again"),
    "a watch of the future": ("GET", f"{JOBS}?watch=true&resourceVersion=999999999", {}, 410, "too large"),
    "a watch, maybe": ("GET", f"{JOBS}?watch=maybe", {}, 400, "true or false"),
    "a timeout in words": ("GET", f"{JOBS}?watch=true&timeoutSeconds=soon", {}, 400, "timeoutSeconds"),
    "an unknown dryRun": ("POST", f"{JOBS}?dryRun=Some", {"json": job()}, 422, "All"),
    "an unknown validation": ("POST", f"{JOBS}?fieldValidation=Lax", {"json": job()}, 400, "Strict"),
    "an answer as a picture": ("GET", JOBS, {"headers": {"Accept": "image/png"}}, 406, "application/json"),
}

KEPT = f"{JOBS}/kept"


def patch(kind: str, body: Any, code: int, word: str, query: str = "") -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ("PATCH", KEPT + query, {"content": content, "headers": PATCH.get(kind, APPLY)}, code, word)


PATCHES: dict[str, Request] = {
    "plain JSON": ("PATCH", KEPT, {"json": {}}, 415, "merge-patch"),
    "a merge patch that is half": patch("merge-patch+json", b"{", 400, "JSON"),
    "a merge patch that is a list": patch("merge-patch+json", [], 400, "object"),
    "another name": patch("merge-patch+json", {"metadata": {"name": "x"}}, 400, "metadata.name"),
    "another uid": patch("merge-patch+json", {"metadata": {"uid": "x"}}, 409, "UID"),
    "a version long gone": patch("merge-patch+json", {"metadata": {"resourceVersion": "1"}}, 409, "modified"),
    "a JSON patch that is an object": patch("json-patch+json", {}, 400, "list of operations"),
    "an operation nobody knows": patch("json-patch+json", [{"op": "x", "path": "/spec"}], 400, "use add"),
    "a path that is not there": patch("json-patch+json", [{"op": "remove", "path": "/spec/x/y"}], 422, "/spec/x/y"),
    "a test that fails": patch("json-patch+json", [{"op": "test", "path": "/kind", "value": 1}], 422, "test failed"),
    "copies that double": patch(
        "json-patch+json",
        [
            {"op": "add", "path": "/spec/a", "value": ["x"] * 10},
            *[{"op": "copy", "from": "/spec", "path": "/spec/a/-"}] * 40,
        ],
        400,
        "copies more than",
    ),
    "an apply by nobody": patch("apply", job({"name": "kept"}), 400, "fieldManager"),
    "an apply of another": patch("apply", job({"name": "x"}), 400, "metadata.name", "?fieldManager=me"),
    "an apply of half a YAML": patch("apply", b"a: [", 400, "YAML", "?fieldManager=me"),
    "a deletion of another": ("DELETE", KEPT, {"json": {"preconditions": {"uid": "x"}}}, 409, "precondition"),
    "a deletion sideways": ("DELETE", KEPT, {"json": {"propagationPolicy": "Sideways"}}, 400, "Background"),
    "a replacement of what is not there": ("PUT", f"{JOBS}/nope", {"json": job({"name": "nope"})}, 404, "nope"),
}

MODELS: dict[str, Request] = {
    "half a JSON": ("POST", f"{REGISTRY}/registered_models", {"content": b"{", "headers": JSON}, 400, "JSON"),
    "a model without a name": ("POST", f"{REGISTRY}/registered_models", {"json": {}}, 400, "name"),
    "a name that is a number": ("POST", f"{REGISTRY}/registered_models", {"json": {"name": 5}}, 400, "name"),
    "a name with NUL": ("POST", f"{REGISTRY}/registered_models", {"json": {"name": "a\0"}}, 400, "NUL"),
    "a version of no model": (
        "POST", f"{REGISTRY}/model_versions", {"json": {"name": "v", "registeredModelId": "9"}}, 404, "9"),
    "no such model": ("GET", f"{REGISTRY}/registered_models/abc", {}, 404, "abc"),
    "a page of -1": ("GET", f"{REGISTRY}/registered_models?pageSize=-1", {}, 400, "pageSize"),
    "an order of its own": ("GET", f"{REGISTRY}/registered_models?orderBy=NOPE", {}, 400, "CREATE_TIME"),
    "a page token of its own": ("GET", f"{REGISTRY}/registered_models?nextPageToken=x", {}, 400, "nextPageToken"),
    "deep nesting": (
        "POST", f"{REGISTRY}/registered_models",
        {"content": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, "headers": JSON}, 400, "body"),
}  # fmt: skip

ALL = {
    f"{table}: {case}": request
    for table, cases in {
        "manifest": MANIFESTS, "body": BODIES, "url": URLS, "patch": PATCHES, "registry": MODELS,
    }.items()
    for case, request in cases.items()
}  # fmt: skip


@pytest.fixture(scope="module")
def http(platform: Platform) -> Any:
    headers = {"Authorization": f"Bearer {platform.token}"}
    with httpx.Client(base_url=platform.http, headers=headers, timeout=30) as client:
        kept = job({"name": "kept"}, suspend=True)
        assert client.post(JOBS, json=kept).status_code == 201
        yield client


@pytest.mark.parametrize("case", ALL)
def test_a_wrong_request_is_refused_clearly(http: httpx.Client, case: str) -> None:
    method, path, options, code, word = ALL[case]
    answer = http.request(method, path, **options)
    assert answer.status_code == code, answer.text[:500]
    body = answer.json()
    assert word in body["message"], body
    if not case.startswith("registry"):
        assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", code), body
        assert body["reason"]


def test_nothing_of_all_that_was_stored(http: httpx.Client, platform: Platform) -> None:
    for method, path, options, _, _ in ALL.values():
        http.request(method, path, **options)
    with Client(platform.http, platform.token) as client:
        kinds = ("trainjobs", "inferenceservices", "pods", "services", "configmaps", "secrets", "jobs", "deployments")
        names = {obj["metadata"]["name"] for kind in kinds for obj in client.list(kind)}
        assert "bad" not in names and "nope" not in names
        kept = client.get("trainjobs", "kept")
    assert kept["metadata"]["generation"] == 1
    assert http.get(f"{REGISTRY}/registered_models").json()["size"] == 0


def test_an_escape_that_is_none_is_a_400(platform: Platform) -> None:
    host, port = platform.http.removeprefix("http://").split(":")
    for line in (b"GET /%zz HTTP/1.1", b"FOO BAR BAZ", b"GET / HTTP/9.9", b"\x16\x03\x01\x02\x00\x01\x00"):
        with socket.create_connection((host, int(port)), timeout=10) as wire:
            wire.sendall(line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            told = wire.recv(200)
        assert told.startswith(b"HTTP/1.") and (told[9:10] == b"4" or told[9:12] == b"505"), (line, told)


@pytest.mark.timeout(180)
def test_who_asks_for_work_in_a_namespace_that_is_not_there_is_told(http: httpx.Client) -> None:
    """The services keep no list of namespaces, so the objects are taken; what becomes of them says why."""
    trainjob, service = job({"name": "lost"}, trainer={"command": ["true"]}), isvc() | {"metadata": {"name": "lost"}}
    asked = {JOBS.replace("default", "nowhere"): trainjob, SERVICES.replace("default", "nowhere"): service}
    for path, body in asked.items():
        assert http.post(path, json=body).status_code == 201
    for path in asked:

        def told(path: str = path) -> bool:
            status = http.get(f"{path}/lost").json().get("status") or {}
            return any('namespaces "nowhere" not found' in c.get("message", "") for c in status.get("conditions") or [])

        until(told, 30, f"{path} says that its namespace is not there")
        assert http.delete(f"{path}/lost").status_code == 200


def tokens() -> dict[str, str]:
    key = Ed25519PrivateKey.generate()
    now = int(time.time())
    claims = {"sub": "x", "iss": "https://nobody.example", "aud": "millstream", "iat": now, "exp": now + 60}
    return {
        "garbage": "x",
        "three parts of nothing": "a.b.c",
        "of no issuer": jwt.encode(claims, key, "EdDSA"),
        "expired": jwt.encode(claims | {"exp": 1}, key, "EdDSA"),
        "without a signature": jwt.encode(claims, None, "none"),  # type: ignore[arg-type]
        "signed with a password": jwt.encode(claims, "x" * 32, "HS256"),
        "too long": "a" * 20_000,
        "beyond ASCII": "\xff",
    }


@pytest.mark.parametrize("name", tokens())
def test_a_token_that_nobody_gave_is_refused_even_from_the_local_user(platform: Platform, name: str) -> None:
    token = tokens()[name]
    answer = httpx.get(platform.http + JOBS, headers={b"Authorization": b"Bearer " + token.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.json()["reason"] == "Unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "bearer token" in answer.json()["message"]
    assert token[:100] not in answer.text or name == "garbage"


@pytest.mark.parametrize(
    ("manifest", "word"),
    [
        ({}, "manifest"),
        (job() | {"kind": "Pod"}, "TrainJob"),
        (job([]), "metadata"),
        (job({"name": "Bad Name"}), "metadata.name"),
        (job({"name": "bad", "namespace": "elsewhere"}), "namespace"),
        (job(trainer={"numNodes": "two"}), "spec.trainer.numNodes"),
        (job(nonsense=DEEP), "nests deeper"),
        (job(trainer={"command": ["a\0b"]}), "NUL"),
    ],
)
async def test_a_wrong_command_is_answered_by_rejected(platform: Platform, manifest: Any, word: str) -> None:
    bus = await messages.connect(platform.env["NATS_URL"])
    try:
        letter = messages.compose("training.trainjob.apply.v1", {"manifest": manifest}, "default")
        headers, body = structured(letter)
        body = body.replace(json.dumps(DEEP).encode(), b"[" * 300 + b"]" * 300)
        where = subject_of(letter)
        answer = await bus.request(where, body, headers=headers, msg_id=letter.id, timeout_s=60)
        told = json.loads(answer.data)
    finally:
        await bus.close()
    assert told["type"] == "training.trainjob.rejected.v1", told
    assert told["data"]["command_id"] == letter.id
    assert 400 <= told["data"]["status"]["code"] < 500
    assert word in told["data"]["status"]["message"], told["data"]["status"]
