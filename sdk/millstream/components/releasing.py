"""Components that bring a model to its users: register it, roll it out to some of them, judge that, promote it."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from millstream.components.helpers import answers_of, ask, columns_but, matrix_of, my_namespace, read_any
from millstream.components.packages import ARROW, IMAGE

USING = [ask, columns_but, matrix_of, my_namespace, read_any]


@dsl.component(base_image=IMAGE, additional_funcs=[ask, my_namespace])
def register_model(
    model: Input[Model],
    name: str,
    version: str = "",
    description: str = "",
    properties: dict = {},
    namespace: str = "",
    registry: str = "",
) -> NamedTuple("Outputs", version=str, uri=str, storage_uri=str, format=str):
    """Records a model in the Model Registry, with its metrics and where it came from.

    A step that runs again finds what it registered before: one artifact is one version.

    Args:
        model: From any of the training components; its metadata says the format.
        name: Of the registered model; it is made when there is none.
        version: The next number when empty.
        description: Of the version.
        properties: More for its custom properties.
        namespace: Whose version it is; this step's own when empty.
        registry: Base URL of a Model Registry; the platform's when empty.

    Returns:
        version: Its name.
        uri: `model-registry://<name>/<version>`, as TrainJobs and InferenceServices of this platform take it.
        storage_uri: Where the files lie.
        format: sklearn, xgboost, pytorch or onnx.
    """
    from urllib.parse import quote

    api = "/api/model_registry/v1alpha3"
    kind = str(model.metadata.get("format") or "")
    if kind not in ("sklearn", "xgboost", "pytorch", "onnx"):
        raise ValueError(f"the model's metadata has format {kind!r}: it must be sklearn, xgboost, pytorch or onnx")
    if not name or "/" in name:
        raise ValueError(f"name {name!r}: give one without a slash")

    def found(path):
        try:
            return ask("GET", api + path, gateway=registry)
        except LookupError:
            return None

    def custom(value):
        if isinstance(value, bool):
            return {"metadataType": "MetadataBoolValue", "bool_value": value}
        if isinstance(value, (int, float)):
            return {"metadataType": "MetadataDoubleValue", "double_value": float(value)}
        return {"metadataType": "MetadataStringValue", "string_value": value if isinstance(value, str) else repr(value)}

    parent = found(f"/registered_model?name={quote(name)}")
    if parent is None:
        parent = ask("POST", f"{api}/registered_models", {"name": name, "state": "LIVE"}, gateway=registry)
    versions = f"/registered_models/{parent['id']}/versions"
    known = (found(f"{versions}?pageSize=1000") or {}).get("items") or []
    mine = next((one for one in known if one.get("externalId") == model.uri[-253:]), None)
    if mine is None:
        numbers = [int(one["name"]) for one in known if one["name"].isdigit()]
        told = {
            key: model.metadata[key] for key in ("estimator", "parameters", "score", "job") if key in model.metadata
        }
        facts = {**told, "artifact": model.name, **properties, "namespace": my_namespace(namespace)}
        body = {
            "name": version or str(max(numbers, default=0) + 1),
            "registeredModelId": parent["id"],
            "externalId": model.uri[-253:],
            "description": description,
            "state": "LIVE",
            "author": "pipeline",
            "customProperties": {key: custom(value) for key, value in facts.items()},
        }
        mine = ask("POST", api + versions, body, gateway=registry)
    artifacts = f"/model_versions/{mine['id']}/artifacts"
    if not (found(artifacts) or {}).get("items"):
        body = {
            "artifactType": "model-artifact",
            "name": f"{name}-{mine['name']}",
            "uri": model.uri,
            "state": "LIVE",
            "modelFormatName": kind,
            "modelFormatVersion": "1",
        }
        ask("POST", api + artifacts, body, gateway=registry)
    uri = f"model-registry://{name}/{mine['name']}"
    print(f"{uri} is {model.uri}")
    return mine["name"], uri, model.uri, kind


@dsl.component(base_image=IMAGE, additional_funcs=[ask, my_namespace])
def deploy_model(
    name: str,
    storage_uri: str,
    format: str = "sklearn",
    canary_percent: int = 100,
    replicas: int = 1,
    resources: dict = {},
    timeout_s: int = 600,
    namespace: str = "",
    gateway: str = "",
) -> NamedTuple("Outputs", url=str, canary=bool, revision=str):
    """Rolls a model out as an InferenceService, to all requests or first to some of them, and waits until it answers.

    The first model of a service answers everything, whatever `canary_percent` says. A rollout that fails leaves the
    model before it in place and fails the step.

    Args:
        name: Of the InferenceService; it is made when there is none.
        storage_uri: `model-registry://name/version`, s3://... and whatever else the service can fetch.
        format: sklearn, xgboost, pytorch or onnx.
        canary_percent: How many of 100 requests go to the new model; 100 makes it the only one.
        replicas: Of the predictor.
        resources: As Kubernetes writes them.
        timeout_s: How long it may take.
        namespace: This step's own when empty.
        gateway: The platform's (or the cluster's API server's) base URL; found by itself when empty.

    Returns:
        url: Where to ask for predictions.
        canary: Whether the new model now stands beside another one.
        revision: The new revision's name.
    """
    import time

    if not 1 <= canary_percent <= 100:
        raise ValueError(f"canary_percent {canary_percent}: it must be from 1 to 100")
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{my_namespace(namespace)}/inferenceservices"
    served = {"modelFormat": {"name": format}, "storageUri": storage_uri}
    served.update({"resources": resources} if resources else {})
    predictor = {"minReplicas": replicas, "model": served}
    try:
        before = ask("GET", f"{path}/{name}", gateway=gateway)
        answering = before["spec"]["predictor"]
        alone = answering.get("canaryTrafficPercent") is None
        if not alone or (answering.get("model") or {}).get("storageUri") != storage_uri:
            predictor["canaryTrafficPercent"] = canary_percent if canary_percent < 100 else None
        now = ask("PATCH", f"{path}/{name}", {"spec": {"predictor": predictor}}, gateway=gateway)
        changed = now["metadata"].get("generation") != before["metadata"].get("generation")
        print(f"{name}: {'changed' if changed else 'is so already'}", flush=True)
    except LookupError:
        whole = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name}}
        now = ask("POST", path, {**whole, "spec": {"predictor": predictor}}, gateway=gateway)
        print(f"{name}: created", flush=True)
    wanted, end, said = now["metadata"].get("generation", 1), time.monotonic() + timeout_s, ""
    while True:
        status = ask("GET", f"{path}/{name}", gateway=gateway).get("status") or {}
        ready = next((one for one in status.get("conditions") or [] if one["type"] == "Ready"), {})
        seen = (status.get("observedGeneration") or 0) >= wanted
        if seen and ready.get("status") == "True" and status.get("url"):
            break
        model = status.get("modelStatus") or {}
        if seen and model.get("transitionStatus") in ("BlockedByFailedLoad", "InvalidSpec"):
            why = (model.get("lastFailureInfo") or {}).get("message") or ready.get("message")
            if "ModelVersionUnknown" not in str(why):  # the registry's news may still be on its way
                raise RuntimeError(f"{name}: {why}")
        if ready.get("message") and ready["message"] != said:
            said = ready["message"]
            print(said, flush=True)
        if time.monotonic() > end:
            raise TimeoutError(f"{name} was not ready after {timeout_s} s: {said or 'no status yet'}")
        time.sleep(0.5)
    part = (status.get("components") or {}).get("predictor") or {}
    shares = part.get("traffic") or []
    canary = len(shares) > 1
    print(f"{status['url']}: {shares}")
    return status["url"], canary, str(part.get("latestReadyRevision") or "")


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[answers_of, *USING])
def check_canary(
    name: str,
    test: Input[Dataset],
    target: str,
    metrics: Output[Metrics],
    least: float = 0.0,
    tolerance: float = 0.01,
    rows: int = 500,
    namespace: str = "",
    gateway: str = "",
) -> NamedTuple("Outputs", good=bool, canary=float, stable=float):
    """Asks the new revision and the one before it for the same rows, and compares answers, failures and latencies.

    Args:
        name: Of the InferenceService, after `deploy_model`.
        test: Rows with the right answers.
        target: The column with them; texts or numbers of classes.
        metrics: Score, failures and mean latency of both.
        least: The score below which the new model is not good.
        tolerance: By how much it may be worse than the one before.
        rows: At most so many are asked for.
        namespace: This step's own when empty.
        gateway: The platform's (or the cluster's API server's) base URL; found by itself when empty.

    Returns:
        good: Whether the new revision may be promoted.
        canary: Its share of right answers.
        stable: That of the one before it; -1 when there is none.
    """
    import json
    import math
    import time
    import urllib.error
    import urllib.request

    where = my_namespace(namespace)
    service = ask(
        "GET", f"/apis/serving.kserve.io/v1beta1/namespaces/{where}/inferenceservices/{name}", gateway=gateway
    )
    part = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
    shares = part.get("traffic") or []
    address = (part.get("address") or {}).get("url") or service["status"]["url"]
    latest = next((one for one in shares if one.get("latestRevision")), {})
    before = next((one for one in shares if not one.get("latestRevision")), None)
    table = read_any(test.path).slice(0, rows)
    data = matrix_of(table, columns_but(table, target)).tolist()
    right = answers_of(table, target)

    def same(a, b):
        if isinstance(a, list):  # scores of classes
            a = max(range(len(a)), key=a.__getitem__)
        try:
            return math.isclose(float(a), float(b), abs_tol=0.5 if isinstance(a, float) and a != int(a) else 1e-9)
        except (TypeError, ValueError):
            return str(a) == str(b)

    def asked(url):
        hits, failed, began = 0, 0, time.monotonic()
        for at in range(0, len(data), 50):
            body = json.dumps({"instances": data[at : at + 50]}).encode()
            request = urllib.request.Request(f"{url.rstrip('/')}/v1/models/{name}:predict", data=body)
            request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    told = json.loads(answer.read())["predictions"]
                hits += sum(same(a, b) for a, b in zip(told, right[at : at + 50], strict=True))
            except (urllib.error.URLError, OSError, KeyError, ValueError) as error:
                print(f"{url}: {error}", flush=True)
                failed += len(data[at : at + 50])
        spent = time.monotonic() - began
        return hits / max(1, len(data)), failed, 1000 * spent / max(1, math.ceil(len(data) / 50))

    new = asked(latest.get("url") or address)
    old = asked(before.get("url") or address) if before else (-1.0, 0, 0.0)
    for word, told in (("canary", new), ("stable", old)):
        for what, value in zip(("score", "failed", "latency_ms"), told, strict=True):
            metrics.log_metric(f"{word}_{what}", float(value))
    good = new[1] == 0 and new[0] >= least and new[0] >= old[0] - tolerance
    print(f"canary {new}, stable {old}: {'good' if good else 'not good'}")
    return good, float(new[0]), float(old[0])


@dsl.component(base_image=IMAGE, additional_funcs=[ask, my_namespace])
def promote_model(
    name: str, good: bool = True, timeout_s: int = 600, stop: bool = True, namespace: str = "", gateway: str = ""
) -> str:
    """Ends a canary: all requests to the new model, or all to the one before it.

    Args:
        name: Of the InferenceService.
        good: What `check_canary` says; False takes the traffic away from the new model.
        timeout_s: How long the rollout may take.
        stop: Whether a model that is not good fails the step (after the traffic was taken away).
        namespace: This step's own when empty.
        gateway: The platform's (or the cluster's API server's) base URL; found by itself when empty.

    Returns:
        The revision that answers now.
    """
    import time

    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{my_namespace(namespace)}/inferenceservices/{name}"
    change = {"spec": {"predictor": {"canaryTrafficPercent": None if good else 0}}}
    wanted = ask("PATCH", path, change, gateway=gateway)["metadata"].get("generation", 1)
    end = time.monotonic() + timeout_s
    while True:
        status = ask("GET", path, gateway=gateway).get("status") or {}
        ready = next((one for one in status.get("conditions") or [] if one["type"] == "Ready"), {})
        part = (status.get("components") or {}).get("predictor") or {}
        serving = [one for one in part.get("traffic") or [] if one.get("percent")]
        done = (status.get("observedGeneration") or 0) >= wanted and ready.get("status") == "True"
        if done and len(serving) == 1 and (not good or serving[0].get("latestRevision")):
            break
        if time.monotonic() > end:
            raise TimeoutError(f"{name} was not ready after {timeout_s} s: {ready.get('message', 'no status yet')}")
        time.sleep(0.5)
    revision = str(serving[0].get("revisionName") or "")
    print(f"{revision} answers all requests of {name}")
    if not good and stop:
        raise RuntimeError(f"the new model of {name} is not good: {revision} answers again")
    return revision
