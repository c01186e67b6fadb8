"""Fingerprints for lineage: the same code and the same runtime give the same text on any machine."""

import json
from hashlib import sha256
from typing import Any


def digest(value: Any) -> str:
    """sha256 of the value's canonical JSON, as `sha256:<hex>`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + sha256(text.encode()).hexdigest()


def code_digest(node: dict[str, Any]) -> str:
    """Of what a training container runs: image, command and args; environment and amounts are not code."""
    return digest({key: node.get(key) for key in ("image", "command", "args")})
