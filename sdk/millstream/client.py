"""A small Python client for everything Millstream serves: kinds by discovery, logs, waiting, predictions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from millstream.discovery import ServedResource, find, find_kind, parse_aggregated
from millstream.errors import ClientError, NotThere
from millstream.home import Home, default_home

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
JOB_UID = "kueue.x-k8s.io/job-uid"
"""The label of a Workload that says of what it is."""
MANAGER = {"fieldManager": "millstream", "force": "true", "fieldValidation": "Strict"}


class Client:
    """Talks to one gateway (`http://...` or `https://...`).

    Every method raises ClientError with the server's own message; NotThere (a ClientError) when the object is missing.
    """

    def __init__(self, url: str, token: str | None = None, ca: Path | None = None, timeout_s: float = 30.0) -> None:
        headers = {"User-Agent": "millstream-sdk"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout_s, verify=str(ca) if ca else True, trust_env=False
        )
        self._resources: list[ServedResource] | None = None
        self._look = "millstream status"

    @classmethod
    def from_home(cls, path: Path | None = None) -> Self:
        """The client of a laptop platform's home folder (default: `$MILLSTREAM_HOME` or ~/.millstream)."""
        home = Home(path or default_home())
        if not home.token.exists():
            raise ClientError(f"no Millstream home at {home.path}: start one with `{home.command('up')}`")
        client = cls(home.http_url, home.token.read_text().strip())
        client._look = home.command("status")
        return client

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; an answer of 400 and above is raised as ClientError."""
        try:
            answer = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ClientError(f"cannot reach {self.http.base_url}: {error} (is it up? `{self._look}`)") from error
        return raise_for_status(answer)

    def resources(self) -> list[ServedResource]:
        """All served kinds; read once."""
        if self._resources is None:
            groups = self.request("GET", "/apis", headers={"Accept": AGGREGATED}).json()
            core = self.request("GET", "/api", headers={"Accept": AGGREGATED}).json()
            self._resources = parse_aggregated(core) + parse_aggregated(groups)
        return self._resources

    def resource(self, word: str) -> ServedResource:
        """The kind that `word` names (plural, singular, short name or Kind)."""
        found = find(self.resources(), word)
        if found is None:
            raise ClientError(f"no kind is called {word!r}; `kubectl api-resources` lists what there is")
        return found

    def resource_of(self, manifest: dict[str, Any]) -> ServedResource:
        """The kind of a manifest, from its apiVersion and kind."""
        api_version, kind = manifest.get("apiVersion", ""), manifest.get("kind", "")
        found = find_kind(self.resources(), api_version, kind)
        if found is None:
            raise ClientError(f"no kind {kind!r} in {api_version!r} is served here; see `kubectl api-resources`")
        return found

    def apply(self, manifest: dict[str, Any], namespace: str = "default", dry_run: bool = False) -> dict[str, Any]:
        """Create the object or change it to what the manifest says (server-side apply); answers the stored object."""
        metadata = manifest.get("metadata") or {}
        if not metadata.get("name"):
            raise ClientError("metadata.name is missing: apply needs a name")
        path = self.resource_of(manifest).path(metadata.get("namespace") or namespace, metadata["name"])
        params = MANAGER | ({"dryRun": "All"} if dry_run else {})
        headers = {"Content-Type": "application/apply-patch+yaml"}
        answer = self.request("PATCH", path, params=params, headers=headers, content=json.dumps(manifest))
        return dict(answer.json())

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """One object."""
        return dict(self.request("GET", self.resource(kind).path(namespace, name)).json())

    def find(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """One object, or None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except NotThere:
            return None

    def list(self, kind: str, namespace: str | None = "default", selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in a namespace (None: in all), narrowed by a label selector."""
        params = {"labelSelector": selector} if selector else {}
        return list(self.request("GET", self.resource(kind).path(namespace), params=params).json()["items"])

    def table(self, kind: str, namespace: str | None, name: str | None = None, selector: str = "") -> dict[str, Any]:
        """A `meta.k8s.io/v1` Table, as the server prints it."""
        params = {"labelSelector": selector} if selector else {}
        path = self.resource(kind).path(namespace, name)
        return dict(self.request("GET", path, params=params, headers={"Accept": TABLE}).json())

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete one object and what it owns; raises NotThere when there is none."""
        self.request("DELETE", self.resource(kind).path(namespace, name))

    def watch(
        self, kind: str, namespace: str = "default", name: str = "", timeout_s: int = 60
    ) -> Iterator[dict[str, Any]]:
        """Watch events ({"type", "object"}), beginning with what exists, until `timeout_s` seconds have passed."""
        params = {"watch": "true", "timeoutSeconds": str(timeout_s)}
        params |= {"fieldSelector": f"metadata.name={name}"} if name else {}
        path = self.resource(kind).path(namespace)
        with self.http.stream("GET", path, params=params, timeout=timeout_s + 10) as answer:
            raise_for_status(answer)
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    def explain(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Why this job (or another object that waits in a queue) does not run: `sentences`, and what they rest on."""
        metadata = obj["metadata"]
        uid = (metadata.get("labels") or {}).get(JOB_UID) if obj.get("kind") == "Workload" else metadata["uid"]
        path = f"/scheduling/v1/namespaces/{metadata['namespace']}/workloads/{uid}/explanation"
        return dict(self.request("GET", path).json())

    def forecast(self, manifest: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
        """What would happen if this TrainJob, Training Operator's job or InferenceService with a queue were submitted
        now: whether it `starts`, else why not, in `sentences`."""
        home = "inference" if manifest.get("kind") == "InferenceService" else "training"
        space = (manifest.get("metadata") or {}).get("namespace") or namespace
        wish = self.request("POST", f"/{home}/v1/namespaces/{space}/demand", json=manifest).json()
        return dict(self.request("POST", f"/scheduling/v1/namespaces/{space}/forecast", json=wish).json())

    def wait(
        self, kind: str, name: str, condition: str, namespace: str = "default", timeout_s: float = 120
    ) -> dict[str, Any]:
        """The object once its `condition` is "True".

        Raises ClientError as soon as a condition `Failed` is "True", or when `timeout_s` seconds have passed.
        """
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            for event in self.watch(kind, namespace, name, timeout_s=max(1, min(30, int(left)))):
                held = conditions_of(event["object"])
                if held.get(condition, {}).get("status") == "True":
                    return dict(event["object"])
                if condition != "Failed" and held.get("Failed", {}).get("status") == "True":
                    raise ClientError(f"{kind}/{name} failed: {held['Failed'].get('message', '')}")
        raise ClientError(f"{kind}/{name}: condition {condition} was not met within {timeout_s:.0f} s")

    def logs(self, pod: str, namespace: str = "default", follow: bool = False, **params: str) -> Iterator[str]:
        """The lines of a pod's log; `params` are those of the API (container, tailLines, previous, ...)."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = dict(params) | ({"follow": "true"} if follow else {})
        with self.http.stream("GET", path, params=query, timeout=None if follow else 30) as answer:
            raise_for_status(answer)
            yield from answer.iter_lines()


def conditions_of(obj: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """An object's conditions by type."""
    return {c["type"]: c for c in (obj.get("status") or {}).get("conditions") or []}


def raise_for_status(answer: httpx.Response) -> httpx.Response:
    if answer.status_code < 400:
        return answer
    answer.read()
    try:
        status = answer.json()
        message = str(status.get("message") or status)
    except ValueError:
        status, message = {}, answer.text[:300] or answer.reason_phrase
    kind = NotThere if answer.status_code == 404 else ClientError
    raise kind(message, answer.status_code, status if isinstance(status, dict) else {})
