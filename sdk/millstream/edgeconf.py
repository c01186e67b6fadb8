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
        "routes": [],
    }
