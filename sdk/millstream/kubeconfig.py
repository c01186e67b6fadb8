"""The two files that point existing clients at a home: `kubeconfig` (kubectl, the Kubernetes-based SDKs) and `env`."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any

from millstream.home import Home, write_private


def kubeconfig(home: Home, token: str, namespace: str = "default") -> dict[str, Any]:
    """A kubeconfig with one context named `millstream`: https, this home's CA and the owner's token."""
    ca = base64.b64encode((home.tls / "ca.crt").read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "millstream",
        "clusters": [
            {"name": "millstream", "cluster": {"server": home.https_url, "certificate-authority-data": ca}},
        ],
        "users": [{"name": "millstream", "user": {"token": token}}],
        "contexts": [
            {"name": "millstream", "context": {"cluster": "millstream", "user": "millstream", "namespace": namespace}}
        ],
    }


def write_kubeconfig(home: Home, token: str) -> None:
    """Write `<home>/kubeconfig`. JSON is YAML, so no YAML writer is needed."""
    write_private(home.kubeconfig, json.dumps(kubeconfig(home, token), indent=2) + "\n")


def write_env(home: Home, variables: dict[str, str]) -> None:
    """Write `<home>/env`, to be sourced by a shell."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in sorted(variables.items())]
    write_private(home.env, "\n".join(lines) + "\n")
