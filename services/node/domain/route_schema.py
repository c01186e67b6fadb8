"""The OpenAPI schema of HTTPRoute, which the official Python client does not ship; pure. Source: Gateway API v1."""

from typing import Any

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer"}


def _object(required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _value() -> Schema:
    return _object(("name", "value"), type=_TEXT, name=_TEXT, value=_TEXT)


def _headers() -> Schema:
    return _object(set=_list(_value()), add=_list(_value()), remove=_list(_TEXT))


def _path() -> Schema:
    return _object(("type",), type=_TEXT, replaceFullPath=_TEXT, replacePrefixMatch=_TEXT)


def _filter() -> Schema:
    redirect = _object(scheme=_TEXT, hostname=_TEXT, port=_COUNT, statusCode=_COUNT, path=_path())
    return _object(
        ("type",),
        type=_TEXT,
        urlRewrite=_object(hostname=_TEXT, path=_path()),
        requestHeaderModifier=_headers(),
        responseHeaderModifier=_headers(),
        requestRedirect=redirect,
    )


def route_schema() -> Schema:
    """The part of HTTPRoute v1 that this node programs; a field beyond it is refused rather than ignored."""
    parent = _object(("name",), group=_TEXT, kind=_TEXT, namespace=_TEXT, name=_TEXT, sectionName=_TEXT, port=_COUNT)
    match = _object(
        path=_object(type=_TEXT, value=_TEXT), headers=_list(_value()), queryParams=_list(_value()), method=_TEXT
    )
    backend = _object(("name",), group=_TEXT, kind=_TEXT, namespace=_TEXT, name=_TEXT, port=_COUNT, weight=_COUNT)
    timeouts = _object(request=_TEXT, backendRequest=_TEXT)
    rule = _object(
        name=_TEXT, matches=_list(match), filters=_list(_filter()), backendRefs=_list(backend), timeouts=timeouts
    )
    spec = _object(parentRefs=_list(parent), hostnames=_list(_TEXT), rules=_list(rule))
    status = _object(parents=_list({"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    return _object(("spec",), spec=spec, status=status)
