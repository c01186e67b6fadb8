"""The first configuration of a home's edge proxy (Caddy): two doors on 127.0.0.1; the node programs routes later."""

from __future__ import annotations

import json
from typing import Any

from millstream.home import Home


def edge_config(home: Home, certificate: str, key: str) -> str:
    """Caddy's JSON. Certificates are inline, so that the proxy needs no path of this home but its admin socket."""
    ports = home.ports()
    return json.dumps(
        {
            # The socket lies in a folder that only the owner can enter; 0600 besides.
            "admin": {"listen": f"unix/{home.run / 'caddy.sock'}|0600", "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "WARN"}}},
            "apps": {
                "http": {
                    "grace_period": "10s",
                    "servers": {
                        "http": _server(f"127.0.0.1:{ports.http}", ["h1", "h2c"]),
                        "https": _server(f"127.0.0.1:{ports.https}", ["h1", "h2"])
                        | {"tls_connection_policies": [{"default_sni": "localhost"}]},
                    },
                },
                "tls": {"certificates": {"load_pem": [{"certificate": certificate, "key": key}]}},
            },
        },
        indent=1,
    )


def _server(address: str, protocols: list[str]) -> dict[str, Any]:
    return {
        "listen": [address],
        "protocols": protocols,
        "automatic_https": {"disable": True},
        "read_header_timeout": "10s",
        "idle_timeout": "5m",
        "max_header_bytes": 65536,
        # Who came through a tunnel or another proxy of this machine says whom it speaks for. Caddy hands that on, and
        # the gateway then takes nobody for the local user who is not on this machine.
        "trusted_proxies": {"source": "static", "ranges": ["127.0.0.0/8"]},
        "routes": [_not_yet()],
        "errors": {"routes": [_no_answer()]},
    }


def _no_answer() -> dict[str, Any]:
    """What a client reads when no pod is ready behind a route, or one ended in the middle of an answer."""
    body = "{http.error.status_code} {http.error.status_text}: no pod behind this route answers; is it ready?\n"
    headers = {"Content-Type": ["text/plain; charset=utf-8"]}
    return {
        "handle": [
            {"handler": "static_response", "status_code": "{http.error.status_code}", "headers": headers, "body": body}
        ]
    }


def _not_yet() -> dict[str, Any]:
    """Until the node has programmed the routes: without any, Caddy would answer everything with an empty 200."""
    message = "the edge has no routes yet; try again in a moment"
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable"}
    headers = {"Content-Type": ["application/json"], "Retry-After": ["1"]}
    body = json.dumps({**status, "message": message, "code": 503})
    return {"handle": [{"handler": "static_response", "status_code": 503, "headers": headers, "body": body}]}
