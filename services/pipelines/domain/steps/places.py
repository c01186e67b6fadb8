"""Where a step's files lie inside its pod, and its artifacts in the bucket; as kfp's own executor expects them."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

MOUNT = "/s3"
"""kfp's executor reads and writes `s3://bucket/key` at /s3/bucket/key; an emptyDir is mounted there."""
OWN = f"{MOUNT}/.millstream"
"""The launcher's own corner: no bucket's name begins with a dot."""
WORKSPACE = "/kfp-workspace"
"""Where the volume that the steps of a run share is mounted, if the pipeline asks for one."""
IN_WORKSPACE = "_kfp_workspace"
"""By this word in its metadata kfp's executor knows an artifact that is kept in the workspace for all steps."""
SHARED = ".shared"
"""Below it lies, in each namespace's part of the bucket, what results from other platforms brought along."""
SCHEMES = {"s3://": f"{MOUNT}/", "gs://": "/gcs/", "minio://": "/minio/"}
SEGMENT_MAX = 200
FILE, TREE = "sha256:", "sha256-tree:"
"""How digests begin: of a file's bytes; of a folder, of its files' names and digests."""
EMPTY = f"{TREE}{sha256(b'').hexdigest()}"
"""That of a folder in which nothing lies: no object tells of it."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def local_path(uri: str) -> str:
    """The path at which kfp's executor expects the bytes of a URI."""
    for scheme, folder in SCHEMES.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def path_of(uri: str, metadata: Mapping[str, Any]) -> str:
    """The path at which kfp's executor expects an artifact: in the workspace, if it is said to lie there."""
    path = local_path(uri)
    return f"{WORKSPACE}/.artifacts/{path.lstrip('/')}" if metadata.get(IN_WORKSPACE) is True else path


def parameter_file(name: str) -> str:
    return f"{OWN}/outputs/{_safe(name)}"


def executor_output() -> str:
    """The file in which kfp's executor leaves what a function returned."""
    return f"{OWN}/executor_output.json"


def attempt_root(run_root: str, path: str, attempt: int) -> str:
    """The prefix of one attempt's outputs. `path` is the record's, which begins with the run's own `root/`."""
    parts = [_safe(part) for part in path.removeprefix("root/").split("/")]
    return "/".join([run_root.rstrip("/"), *parts, str(attempt)])


def artifact_uri(root: str, name: str) -> str:
    return f"{root}/{_safe(name)}"


def is_tree(digest: str) -> bool:
    return digest.startswith(TREE)


def _safe(segment: str) -> str:
    """A segment that every object store and file system reads the same: never `.` or `..`, not too long for either,
    and another one for every other name."""
    cleaned = _UNSAFE.sub("_", segment)[:SEGMENT_MAX]
    if cleaned == segment and cleaned.strip("."):
        return cleaned
    return f"{cleaned}_{sha256(segment.encode()).hexdigest()[:10]}"
