"""Schemas of the kinds that clusters learn from add-ons: the part of each that we use, and nothing beyond it.

A field that is not here is refused until somebody has looked it up in the add-on's own definition and added it.
Sources: Gateway API v1 (HTTPRoute: the node's own schema), prometheus-operator v0.82 (monitoring.coreos.com/v1),
cert-manager v1.19 (cert-manager.io/v1).
"""

from __future__ import annotations

from typing import Any

import jsonschema

from services.node.domain.route_schema import route_schema

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
WORDS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
YES: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
_PROMETHEUS_PARTS = "".join(f"(([0-9]+){unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms"))
PROMETHEUS_TIME: Schema = {"type": "string", "pattern": rf"^(0|{_PROMETHEUS_PARTS})$", "minLength": 1}
GO_TIME: Schema = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"}


def thing(*required: str, **fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def closed(schema: Schema) -> Schema:
    """The same with every object closed to unknown fields."""
    if schema.get("type") == "array":
        return {**schema, "items": closed(schema["items"])}
    if "properties" not in schema:
        return schema
    fields = {name: closed(field) for name, field in schema["properties"].items()}
    return {**schema, "properties": fields, "additionalProperties": False}


REQUIREMENT = thing(
    "key", "operator", key=TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values=TEXTS
)
SELECTOR = thing(matchLabels=WORDS, matchExpressions=many(REQUIREMENT))
RELABELING = thing(
    sourceLabels=TEXTS,
    separator={"type": "string"},
    targetLabel=TEXT,
    regex={"type": "string"},
    replacement={"type": "string"},
    action={"enum": ["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"]},
)
LISTENER = thing(
    "name",
    "port",
    "protocol",
    name=TEXT,
    hostname=TEXT,
    port=COUNT,
    protocol={"enum": ["HTTP", "HTTPS", "TLS"]},
    tls=thing(mode={"enum": ["Terminate", "Passthrough"]}, certificateRefs=many(thing("name", name=TEXT))),
    allowedRoutes=thing(namespaces=thing(**{"from": {"enum": ["All", "Same", "Selector"]}, "selector": SELECTOR})),
)
ENDPOINT = thing(
    "port",
    port=TEXT,
    path=TEXT,
    scheme={"enum": ["http", "https"]},
    interval=PROMETHEUS_TIME,
    scrapeTimeout=PROMETHEUS_TIME,
    honorLabels=YES,
    relabelings=many(RELABELING),
    metricRelabelings=many(RELABELING),
    tlsConfig=thing(
        insecureSkipVerify=YES, serverName=TEXT, ca=thing(secret=thing("name", "key", name=TEXT, key=TEXT))
    ),
)
RULE = {
    **thing(
        "expr",
        alert=TEXT,
        record=TEXT,
        expr=TEXT,
        **{"for": PROMETHEUS_TIME, "keep_firing_for": PROMETHEUS_TIME},
        labels=WORDS,
        annotations=WORDS,
    ),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
}
ISSUER = thing("name", name=TEXT, kind={"enum": ["Issuer", "ClusterIssuer"]}, group={"const": "cert-manager.io"})
USAGES = ["digital signature", "key encipherment", "server auth", "client auth", "cert sign"]
CERTIFICATE = thing(
    "secretName",
    "issuerRef",
    secretName=TEXT,
    issuerRef=ISSUER,
    commonName={"type": "string", "maxLength": 64},
    dnsNames=TEXTS,
    isCA=YES,
    duration=GO_TIME,
    renewBefore=GO_TIME,
    usages=many({"enum": USAGES}),
    secretTemplate=thing(labels=WORDS, annotations=WORDS),
    privateKey=thing(
        algorithm={"enum": ["RSA", "ECDSA", "Ed25519"]},
        encoding={"enum": ["PKCS1", "PKCS8"]},
        size={"enum": [256, 384, 521, 2048, 4096]},
        rotationPolicy={"enum": ["Never", "Always"]},
    ),
)

SPECS: dict[tuple[str, str], Schema] = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): closed(route_schema())["properties"]["spec"],
    ("gateway.networking.k8s.io/v1", "Gateway"): thing(
        "gatewayClassName", "listeners", gatewayClassName=TEXT, listeners=many(LISTENER)
    ),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): thing(
        "selector",
        "endpoints",
        selector=SELECTOR,
        endpoints=many(ENDPOINT),
        namespaceSelector=thing(any=YES, matchNames=TEXTS),
        jobLabel=TEXT,
        targetLabels=TEXTS,
        podTargetLabels=TEXTS,
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): thing(
        "selector",
        "podMetricsEndpoints",
        selector=SELECTOR,
        podMetricsEndpoints=many(ENDPOINT),
        namespaceSelector=thing(any=YES, matchNames=TEXTS),
        jobLabel=TEXT,
        podTargetLabels=TEXTS,
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): thing(
        groups=many(thing("name", "rules", name=TEXT, interval=PROMETHEUS_TIME, rules=many(RULE)))
    ),
    ("cert-manager.io/v1", "Certificate"): CERTIFICATE,
    ("cert-manager.io/v1", "Issuer"): {
        **thing(selfSigned={"type": "object", "maxProperties": 0}, ca=thing("secretName", secretName=TEXT)),
        "minProperties": 1,
        "maxProperties": 1,
    },
}


def knows(obj: dict[str, Any]) -> bool:
    return (obj["apiVersion"], obj["kind"]) in SPECS


def fault(obj: dict[str, Any]) -> str | None:
    """What is wrong with an object of a kind that is known here; None when nothing is."""
    schema = thing(
        "apiVersion", "kind", "metadata", "spec", **_envelope(obj), spec=SPECS[obj["apiVersion"], obj["kind"]]
    )
    found = jsonschema.Draft202012Validator(schema).iter_errors(obj)
    worst = next(iter(sorted(found, key=lambda error: list(map(str, error.path)))), None)
    return f"{'.'.join(map(str, worst.path))}: {worst.message}" if worst else None


def _envelope(obj: dict[str, Any]) -> dict[str, Schema]:
    meta = thing("name", name=TEXT, namespace=TEXT, labels=WORDS, annotations=WORDS)
    return {"apiVersion": {"const": obj["apiVersion"]}, "kind": {"const": obj["kind"]}, "metadata": meta}
