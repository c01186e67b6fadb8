"""Where the step's files really lie: /s3, or the folder that stands for it where no folder can be mounted."""

from __future__ import annotations

import os
from typing import Any

MOUNT = "/s3"
OWN = ".millstream"
KEPT = "/kfp-workspace/.artifacts"
"""Where what is kept for all steps of a run lies; not where no folder can be mounted."""


class Places:
    """`root` is what MILLSTREAM_STEP_ROOT says. Where it is not /s3, kfp's executor is given plain paths for the
    bucket's URIs, and what it answers is turned back."""

    def __init__(self, root: str, bucket: str) -> None:
        self.root, self._bucket = root.rstrip("/"), bucket
        self.moved = self.root != MOUNT

    @property
    def own(self) -> str:
        return f"{self.root}/{OWN}"

    def path(self, uri: str) -> str:
        """The local path of an artifact's bytes."""
        for scheme, folder in (("s3://", f"{self.root}/"), ("gs://", "/gcs/"), ("minio://", "/minio/")):
            if uri.startswith(scheme):
                return folder + uri[len(scheme) :]
        return self.file(uri)

    def file(self, path: str) -> str:
        """A path that the service told, as it is here."""
        if self.moved and path.startswith(f"{KEPT}{MOUNT}/"):
            path = path[len(KEPT) :]
        return self.root + path[len(MOUNT) :] if path.startswith(f"{MOUNT}/") else path

    def word(self, text: str) -> str:
        """A word of the command as it must read here."""
        if not self.moved:
            return text
        text = text.replace(f"{KEPT}{MOUNT}/", f"{MOUNT}/").replace('"_kfp_workspace": true', '"_kfp_workspace": false')
        for told in (f"{MOUNT}/{OWN}/", f"{MOUNT}/{self._bucket}/"):
            text = text.replace(told, self.file(told))
        return text.replace(f"s3://{self._bucket}/", f"{self.root}/{self._bucket}/")

    def uri(self, told: str, attempt: str) -> str:
        """A URI that the step answered, as the service knows it. What kfp's `dsl.get_uri()` makes lies beside the
        executor's own file: `attempt` is where this attempt's outputs are to lie."""
        for own in (f"s3://{OWN}/", f"{self.own}/"):
            if told.startswith(own):
                return f"{attempt}/{told[len(own) :]}"
        here = f"{self.root}/{self._bucket}/"
        return f"s3://{self._bucket}/{told[len(here) :]}" if self.moved and told.startswith(here) else told


def parent_of(path: str) -> str:
    """The path, with all folders above it made."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return path


def list_of(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []
