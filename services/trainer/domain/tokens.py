"""What follows from the trainer's secret: the token by which a job's pods report progress, good for that job alone and
stored nowhere; and where its ports begin."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256


def token_for(key: bytes, uid: str) -> str:
    """`key` is the trainer's secret, `uid` the TrainJob's."""
    return urlsafe_b64encode(hmac.digest(key, f"trainjob/{uid}".encode(), sha256)).rstrip(b"=").decode()


def ticket_offset(key: bytes) -> int:
    """Where an installation begins to count its jobs' ports: two on one machine have other secrets, and so other ports
    for the jobs that they start at one time."""
    return int.from_bytes(hmac.digest(key, b"ports", sha256)[:4], "big")


def is_token(key: bytes, uid: str, given: str) -> bool:
    return hmac.compare_digest(token_for(key, uid).encode(), given.encode())
