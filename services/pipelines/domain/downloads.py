"""Links that read one artifact for a while without further credentials, through the platform's own door: the bucket may
have no address that a browser reaches."""

import hmac
from hashlib import sha256

LASTS_S = 900
DOOR = "/pipelines/v1/downloads"


def link(secret: bytes, base: str, id: str, now_s: float) -> str:
    """`base` is how the caller reached the platform."""
    until = int(now_s) + LASTS_S
    return f"{base.rstrip('/')}{DOOR}/{id}?until={until}&signature={_signature(secret, id, until)}"


def is_good(secret: bytes, id: str, until: int, signature: str, now_s: float) -> bool:
    return now_s < until and hmac.compare_digest(_signature(secret, id, until).encode(), signature.encode())


def _signature(secret: bytes, id: str, until: int) -> str:
    return hmac.digest(secret, f"pipelines/downloads/{id}/{until}".encode(), sha256).hex()
