"""What Kueue's quotas are of (kueue.x-k8s.io/v1beta2): ResourceFlavor and Topology; and AdmissionCheck."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StrictStr

from contracts.kinds.queues import API_VERSION, Condition, DnsName, Wire

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Taint(Wire):
    key: Annotated[StrictStr, Field(min_length=1)]
    value: StrictStr | None = None
    effect: Effect
    time_added: Any = Field(default=None, alias="timeAdded")


class Toleration(Wire):
    key: StrictStr | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: StrictStr | None = None
    effect: Effect | None = None
    toleration_seconds: StrictInt | None = Field(default=None, alias="tolerationSeconds")


class ResourceFlavorSpec(Wire):
    node_labels: Annotated[dict[str, StrictStr], Field(max_length=8)] | None = Field(default=None, alias="nodeLabels")
    node_taints: Annotated[list[Taint], Field(max_length=8)] | None = Field(default=None, alias="nodeTaints")
    tolerations: Annotated[list[Toleration], Field(max_length=8)] | None = None
    topology_name: DnsName | None = Field(default=None, alias="topologyName")


class ResourceFlavor(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    kind: Literal["ResourceFlavor"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: ResourceFlavorSpec = Field(default_factory=ResourceFlavorSpec)


class TopologyLevel(Wire):
    node_label: Annotated[StrictStr, Field(min_length=1, max_length=316)] = Field(alias="nodeLabel")


class TopologySpec(Wire):
    levels: Annotated[list[TopologyLevel], Field(min_length=1, max_length=16)]


class Topology(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    kind: Literal["Topology"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: TopologySpec


class CheckParameters(Wire):
    api_group: StrictStr = Field(alias="apiGroup")
    kind: StrictStr
    name: StrictStr


class AdmissionCheckSpec(Wire):
    controller_name: Annotated[StrictStr, Field(min_length=1)] = Field(alias="controllerName")
    retry_delay_minutes: StrictInt | None = Field(default=None, alias="retryDelayMinutes")
    parameters: CheckParameters | None = None


class AdmissionCheckStatus(Wire):
    conditions: list[Condition] | None = None


class AdmissionCheck(Wire):
    api_version: API_VERSION = Field(alias="apiVersion")
    kind: Literal["AdmissionCheck"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: AdmissionCheckSpec
    status: AdmissionCheckStatus | None = None


KINDS = (ResourceFlavor, Topology, AdmissionCheck)
