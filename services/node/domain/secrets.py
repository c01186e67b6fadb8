"""What is inside a Secret or ConfigMap, as bytes by key; pure."""

import base64
import binascii
from typing import Any


def secret_bytes(secret: dict[str, Any]) -> dict[str, bytes]:
    """The decoded `data`; `stringData` never reaches a stored object."""
    return {key: base64.b64decode(value or "") for key, value in (secret.get("data") or {}).items()}


def configmap_bytes(configmap: dict[str, Any]) -> dict[str, bytes]:
    """`data` as UTF-8 and `binaryData` decoded."""
    texts = {key: str(value).encode() for key, value in (configmap.get("data") or {}).items()}
    return texts | {key: base64.b64decode(value or "") for key, value in (configmap.get("binaryData") or {}).items()}


def is_base64(text: Any) -> bool:
    """Whether `text` is standard base64."""
    try:
        base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
