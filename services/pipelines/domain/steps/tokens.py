"""How a step's pod proves itself at the step door; nothing of it is stored but the service's own secret.

Each namespace has a key that follows from that secret and lies in a Secret there, which whoever may run pods in the
namespace could mount anyway, and whoever may only look at pods cannot read. An attempt's token follows from the key, so
10,000 steps need no 10,000 Secrets.
"""

import hmac
from hashlib import sha256


def namespace_key(secret: bytes, namespace: str) -> str:
    """What the pods of one namespace are given, in hexadecimal."""
    return hmac.digest(secret, f"pipelines/steps/{namespace}".encode(), sha256).hex()


def token_for(key: str, uid: str, attempt: int) -> str:
    """The token of one attempt. `key` is the namespace's; the launcher computes the same."""
    return hmac.digest(key.encode(), f"{uid}/{attempt}".encode(), sha256).hex()


def is_token(secret: bytes, namespace: str, uid: str, attempt: int, given: str) -> bool:
    wanted = token_for(namespace_key(secret, namespace), uid, attempt)
    return hmac.compare_digest(wanted.encode(), given.encode())
