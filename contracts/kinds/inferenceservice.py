"""InferenceService as KServe's clients send and read it (serving.kserve.io/v1beta1); what is not served is refused.

The spec is kept as it was sent. `predictor_model` reads the modern `model` form and the older one (`sklearn: {...}`)
alike.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, WithJsonSchema, model_validator

from contracts.kinds.quantity import Quantity

GROUP, VERSION = "serving.kserve.io", "v1beta1"
FORMATS = ("sklearn", "xgboost", "onnx", "pytorch")
SCHEMES = ("s3", "pvc", "http", "https", "file", "model-registry")

_URI = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)", re.DOTALL)


def _refused(value: Any) -> Any:
    if value is not None:
        raise ValueError("is not supported by Millstream's serving yet; remove it")
    return value


Refused = Annotated[
    Any, AfterValidator(_refused), WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True, "nullable": True})
]
"""A field of KServe that would change behaviour if it were ignored."""


def storage_uri(text: str) -> str:
    """Raises ValueError unless the model server can fetch it."""
    found = _URI.fullmatch(text)
    if not found or found[1] not in SCHEMES:
        raise ValueError(f"{text!r} must begin with one of {', '.join(s + '://' for s in SCHEMES)}")
    parts = found[2].split("?", 1)[0].split("/")
    if ".." in parts or any(ord(letter) < 32 for letter in text):
        raise ValueError(f"{text!r} must not contain '..' or control characters")
    if found[1] == "model-registry" and not (1 <= len(parts) <= 2 and all(parts)):
        raise ValueError(f"{text!r} must be model-registry://<model> or model-registry://<model>/<version>")
    if found[1] in ("s3", "pvc") and (len(parts) < (2 if found[1] == "s3" else 1) or not parts[0]):
        raise ValueError(f"{text!r} must name a bucket or claim and a path")
    return text


StorageUri = Annotated[StrictStr, Field(max_length=2048), AfterValidator(storage_uri)]


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


class ModelFormat(_Wire):
    name: Literal["sklearn", "xgboost", "onnx", "pytorch"] = Field(
        description="name is the format of the model's files."
    )
    version: StrictStr | None = None


class EnvVar(_Wire):
    name: Annotated[StrictStr, Field(min_length=1)]
    value: StrictStr | None = None
    value_from: dict[str, Any] | None = Field(default=None, alias="valueFrom")


class Resources(_Wire):
    """Amounts of each replica; they come back as they were sent."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class _Served(_Wire):
    """What the modern and the older form of a predictor share."""

    name: StrictStr | None = Field(default=None, description="name of the container; KServe's clients send it empty.")
    storage_uri: StorageUri = Field(alias="storageUri", description="storageUri is where the model's files lie.")
    protocol_version: Literal["v1", "v2", "grpc-v2", ""] | None = Field(
        default=None, alias="protocolVersion", description="protocolVersion; all protocols are always served."
    )
    env: list[EnvVar] | None = None
    resources: Resources | None = None
    args: Refused = None
    command: Refused = None
    image: Refused = None
    runtime: Refused = None
    runtime_version: Refused = Field(default=None, alias="runtimeVersion")
    storage: Refused = None
    env_from: Refused = Field(default=None, alias="envFrom")
    volume_mounts: Refused = Field(default=None, alias="volumeMounts")
    liveness_probe: Refused = Field(default=None, alias="livenessProbe")
    readiness_probe: Refused = Field(default=None, alias="readinessProbe")


class ModelSpec(_Served):
    model_format: ModelFormat = Field(alias="modelFormat")


class LegacySpec(_Served):
    """`predictor.sklearn` and its like: the key is the format."""


class Predictor(_Wire):
    model: ModelSpec | None = None
    sklearn: LegacySpec | None = None
    xgboost: LegacySpec | None = None
    onnx: LegacySpec | None = None
    pytorch: LegacySpec | None = None
    min_replicas: Annotated[StrictInt, Field(ge=1, le=100)] | None = Field(
        default=None, alias="minReplicas", description="minReplicas is the number of replicas (1)."
    )
    max_replicas: Annotated[StrictInt, Field(ge=0, le=100)] | None = Field(default=None, alias="maxReplicas")
    canary_traffic_percent: Annotated[StrictInt, Field(ge=0, le=100)] | None = Field(
        default=None,
        alias="canaryTrafficPercent",
        description="canaryTrafficPercent is the share of requests that a new revision gets; without it, all of them.",
    )
    timeout: Annotated[StrictInt, Field(ge=1, le=3600)] | None = Field(
        default=None, description="timeout of one request in seconds."
    )
    service_account_name: StrictStr | None = Field(default=None, alias="serviceAccountName")
    labels: dict[StrictStr, StrictStr] | None = None
    annotations: dict[StrictStr, StrictStr] | None = None
    node_selector: dict[StrictStr, StrictStr] | None = Field(default=None, alias="nodeSelector")
    containers: Refused = None
    init_containers: Refused = Field(default=None, alias="initContainers")
    volumes: Refused = None
    container_concurrency: Refused = Field(default=None, alias="containerConcurrency")
    scale_target: Refused = Field(default=None, alias="scaleTarget")
    scale_metric: Refused = Field(default=None, alias="scaleMetric")
    scale_metric_type: Refused = Field(default=None, alias="scaleMetricType")
    auto_scaling: Refused = Field(default=None, alias="autoScaling")
    deployment_strategy: Refused = Field(default=None, alias="deploymentStrategy")
    batcher: Refused = None
    logger: Refused = None
    storage_uris: Refused = Field(default=None, alias="storageUris")
    worker_spec: Refused = Field(default=None, alias="workerSpec")
    lightgbm: Refused = None
    huggingface: Refused = None
    tensorflow: Refused = None
    triton: Refused = None
    pmml: Refused = None
    paddle: Refused = None

    @model_validator(mode="after")
    def _exactly_one_model(self) -> "Predictor":
        given = [name for name in ("model", *FORMATS) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of model, {', '.join(FORMATS)}; it has {given or 'none'}")
        if self.max_replicas and self.max_replicas < (self.min_replicas or 1):
            raise ValueError(f"maxReplicas {self.max_replicas} is less than minReplicas {self.min_replicas or 1}")
        return self


class InferenceServiceSpec(_Wire):
    predictor: Predictor
    transformer: Refused = None
    explainer: Refused = None
    canary: Refused = None


class InferenceService(_Wire):
    api_version: Literal["serving.kserve.io/v1beta1"] = Field(alias="apiVersion")
    kind: Literal["InferenceService"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: InferenceServiceSpec
    status: dict[str, Any] | None = None


def predictor_model(spec: dict[str, Any]) -> dict[str, Any]:
    """The model part of a valid spec in the modern form, whichever form was sent."""
    predictor = spec["predictor"]
    if predictor.get("model") is not None:
        return dict(predictor["model"])
    name = next(name for name in FORMATS if predictor.get(name) is not None)
    return {**predictor[name], "modelFormat": {"name": name}}


KINDS = (InferenceService,)
