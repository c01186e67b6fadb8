"""HTTPRoutes as Caddy routes, the most specific first; pure. Sources: Gateway API v1, Caddy JSON structure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.node.domain.naming import endpoints_name

Object = dict[str, Any]
Upstreams = Callable[[str, Object], list[str] | None]
"""(namespace, backendRef) -> `ip:port` of the ready pods, or None when the reference leads nowhere."""

FLUSH_NS = 10_000_000
REFRESH = "250ms"
"""How long the proxy may use the endpoints of one look-up; a pod serves on for longer than this when it must end."""

TRANSPORT: Object = {
    "protocol": "http",
    "keep_alive": {"enabled": True, "idle_timeout": "1s", "max_idle_conns_per_host": 32},
}
"""An idle connection is kept for less long than a pod that must end goes on answering, so no request meets its close.
"""


@dataclass(frozen=True)
class Follow:
    """How the proxy finds pods by itself: a name server (`ip:port`) that knows `endpoints_name`, and the pods' port
    behind a backendRef (None while that is not known)."""

    resolver: str
    port_of: Callable[[str, Object], int | None]


def caddy_routes(routes: Sequence[Object], upstreams: Upstreams, follow: Follow | None = None) -> list[Object]:
    """One Caddy route for each match of each rule, in the order in which the Gateway API lets them win.

    With `follow` a rule with one backend names it and the proxy looks its pods up: endpoints come and go, also the
    first and the last, without a new configuration, which would come late and close idle connections.
    """
    entries = [e for route in routes for e in _entries(route, upstreams, follow)]
    return [made for _, made in sorted(entries, key=lambda e: e[0])]


def _entries(route: Object, upstreams: Upstreams, follow: Follow | None) -> list[tuple[Any, Object]]:
    meta = route["metadata"]
    found = []
    for at, rule in enumerate(route["spec"].get("rules") or []):
        for nth, match in enumerate(rule.get("matches") or [{}]):
            made = {
                "@id": f"{meta['namespace']}/{meta['name']}/{at}/{nth}",
                "match": [_match(route, match)],
                "handle": _handlers(meta["namespace"], rule, match, upstreams, follow),
                "terminal": True,
            }
            rank = (*_rank(route, match), meta.get("creationTimestamp", ""), meta["namespace"], meta["name"], at, nth)
            found.append((rank, {k: v for k, v in made.items() if v != [{}]}))
    return found


def _rank(route: Object, match: Object) -> tuple[Any, ...]:
    hosts = route["spec"].get("hostnames") or []
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    kinds = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}
    host_letters = max((len(h) for h in hosts), default=0)
    return (
        -host_letters, kinds.get(path.get("type", "PathPrefix"), 3), -len(path.get("value") or "/"),
        0 if match.get("method") else 1, -len(match.get("headers") or []),
    )  # fmt: skip


def _match(route: Object, match: Object) -> Object:
    made: Object = {}
    if hosts := route["spec"].get("hostnames"):
        made["host"] = list(hosts)
    path = match.get("path") or {}
    value = path.get("value") or "/"
    if path.get("type") == "Exact":
        made["path"] = [value]
    elif path.get("type") == "RegularExpression":
        made["path_regexp"] = {"pattern": value}
    elif value.rstrip("/"):
        made["path"] = [value.rstrip("/"), value.rstrip("/") + "/*"]
    if method := match.get("method"):
        made["method"] = [method]
    exact = {h["name"]: [h["value"]] for h in match.get("headers") or [] if h.get("type", "Exact") == "Exact"}
    patterns = {h["name"]: {"pattern": h["value"]} for h in match.get("headers") or [] if h["name"] not in exact}
    query = {q["name"]: [q["value"]] for q in match.get("queryParams") or []}
    found = (("header", exact), ("header_regexp", patterns), ("query", query))
    return made | {key: value for key, value in found if value}


def _handlers(namespace: str, rule: Object, match: Object, upstreams: Upstreams, follow: Follow | None) -> list[Object]:
    handlers = []
    for wanted in rule.get("filters") or []:
        kind = wanted["type"]
        if kind == "RequestRedirect":
            return [_redirect(wanted["requestRedirect"])]
        if kind == "URLRewrite":
            handlers += _rewrite(wanted["urlRewrite"], match)
        elif kind in ("RequestHeaderModifier", "ResponseHeaderModifier"):
            handlers.append(_headers(kind, wanted))
    return [*handlers, _backend(namespace, rule, upstreams, follow)]


def _rewrite(wanted: Object, match: Object) -> list[Object]:
    path, handlers = wanted.get("path") or {}, []
    if path.get("type") == "ReplaceFullPath":
        handlers.append({"handler": "rewrite", "uri": path.get("replaceFullPath") or "/"})
    elif path.get("type") == "ReplacePrefixMatch":
        old = ((match.get("path") or {}).get("value") or "/").rstrip("/")
        new = (path.get("replacePrefixMatch") or "/").rstrip("/")
        find = f"^{re.escape(old)}(?:/|$)"
        handlers.append({"handler": "rewrite", "path_regexp": [{"find": find, "replace": new + "/"}]})
    if host := wanted.get("hostname"):
        handlers.append({"handler": "headers", "request": {"set": {"Host": [host]}}})
    return handlers


def _headers(kind: str, wanted: Object) -> Object:
    side = "request" if kind.startswith("Request") else "response"
    change = wanted.get(side + "HeaderModifier") or {}
    ops: Object = {op: {h["name"]: [h["value"]] for h in change[op]} for op in ("set", "add") if change.get(op)}
    if change.get("remove"):
        ops["delete"] = list(change["remove"])
    return {"handler": "headers", side: ops}


def _redirect(wanted: Object) -> Object:
    scheme = wanted.get("scheme") or "{http.request.scheme}"
    host = wanted.get("hostname") or "{http.request.host}"
    port = f":{wanted['port']}" if wanted.get("port") else ""
    path = (wanted.get("path") or {}).get("replaceFullPath") or "{http.request.uri}"
    where = f"{scheme}://{host}{port}{path}"
    return {
        "handler": "static_response",
        "status_code": wanted.get("statusCode", 302),
        "headers": {"Location": [where]},
    }


def _backend(namespace: str, rule: Object, upstreams: Upstreams, follow: Follow | None) -> Object:
    refs = [ref for ref in rule.get("backendRefs") or [] if _weight(ref) > 0]
    found = [(ref, upstreams(namespace, ref)) for ref in refs]
    if not found or any(addresses is None for _, addresses in found):
        return _refuse(500, "the route's backend does not exist")
    port = follow.port_of(namespace, refs[0]) if follow and len(refs) == 1 else None
    if follow and port:
        return _following(endpoints_name(refs[0]["name"], refs[0].get("namespace") or namespace), port, follow.resolver)
    alive = [(ref, addresses) for ref, addresses in found if addresses]
    if not alive:
        return _refuse(503, "no pod is ready behind this route")
    return _proxy(alive)


def _following(name: str, port: int, resolver: str) -> Object:
    return {
        "handler": "reverse_proxy",
        "dynamic_upstreams": {
            "source": "a",
            "name": name,
            "port": str(port),
            "refresh": REFRESH,
            "resolver": {"addresses": [f"udp/{resolver}"]},
            "versions": {"ipv4": True},
        },
        "transport": TRANSPORT,
        "load_balancing": {"selection_policy": {"policy": "round_robin"}, "retries": 2},
        "flush_interval": FLUSH_NS,
    }


def _proxy(alive: Sequence[tuple[Object, Sequence[str]]]) -> Object:
    """Retries are for pods that refuse the connection: those have not seen the request."""
    common = math.lcm(*(len(addresses) for _, addresses in alive))
    weights = [_weight(ref) * common // len(addresses) for ref, addresses in alive for _ in addresses]
    step = math.gcd(*weights)
    dials = [address for _, addresses in alive for address in addresses]
    even = len(set(weights)) == 1
    policy: Object = {"policy": "round_robin"} if even else {
        "policy": "weighted_round_robin", "weights": [w // step for w in weights]}  # fmt: skip
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial} for dial in dials],
        "transport": TRANSPORT,
        "load_balancing": {"selection_policy": policy, "retries": 2},
        "flush_interval": FLUSH_NS,
    }


def _weight(ref: Object) -> int:
    return int(ref["weight"] if ref.get("weight") is not None else 1)


def _refuse(code: int, why: str) -> Object:
    return {"handler": "static_response", "status_code": code, "body": why + "\n"}


def with_routes(servers: Mapping[str, Object], routes: Sequence[Object]) -> dict[str, Object]:
    """Caddy's `servers` with our routes in each of them; ids are unique over the whole configuration."""
    return {name: {**server, "routes": [_labelled(name, r) for r in routes]} for name, server in servers.items()}


def _labelled(server: str, route: Object) -> Object:
    return {**route, "@id": f"{server}/{route['@id']}"}
