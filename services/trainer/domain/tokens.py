"""The token by which a job's pods report progress: derived, so that it is stored nowhere and good for one job alone."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256


def token_for(key: bytes, uid: str) -> str:
    """`key` is the trainer's secret, `uid` the TrainJob's."""
    return urlsafe_b64encode(hmac.digest(key, f"trainjob/{uid}".encode(), sha256)).rstrip(b"=").decode()


def is_token(key: bytes, uid: str, given: str) -> bool:
    return hmac.compare_digest(token_for(key, uid).encode(), given.encode())
