"""Downloads a dataset or a model into a pod's /workspace before training: `initializer s3://bucket/path FOLDER`.

An object lands in the folder under its own name, a prefix with all that is below it. IGNORE_PATTERNS (shell patterns,
comma-separated, as the Kubeflow SDK sends them) leaves files out, ENDPOINT overrides the platform's object store.
"""

import os
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    uri, folder = argv
    os.umask(0)  # the folder is the pod's own, and who trains on it may be any user
    fetched = fetch(client(environ), uri, Path(folder), environ.get("IGNORE_PATTERNS", "").split(","))
    print(f"{fetched} files of {uri} are in {folder}", flush=True)
    if not fetched:
        print(f"there is nothing at {uri}", file=sys.stderr, flush=True)
    return 0 if fetched else 1


def client(environ: Mapping[str, str]) -> Minio:
    where = urlsplit(environ.get("ENDPOINT") or environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com")
    return Minio(
        where.netloc,
        access_key=environ.get("ACCESS_KEY_ID") or environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=environ.get("SECRET_ACCESS_KEY") or environ.get("AWS_SECRET_ACCESS_KEY"),
        region=environ.get("REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        secure=where.scheme == "https",
    )


def fetch(store: Any, uri: str, folder: Path, ignored: list[str]) -> int:
    """The number of files written below `folder`."""
    where = urlsplit(uri)
    key = where.path.strip("/")
    count = 0
    for entry in store.list_objects(where.netloc, prefix=key, recursive=True):
        name = relative(entry.object_name, key)
        if name and not any(pattern and fnmatch(name, pattern.strip()) for pattern in ignored):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            store.fget_object(where.netloc, entry.object_name, str(folder / name))
            count += 1
    return count


def relative(name: str, key: str) -> str | None:
    """Where an object lands; None for what merely begins with the same letters or would leave the folder."""
    if name == key:
        return name.rsplit("/", 1)[-1]
    below = name.removeprefix(f"{key}/" if key else "")
    outside = name.endswith("/") or ".." in below.split("/") or (key and below == name)
    return None if outside else below


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
