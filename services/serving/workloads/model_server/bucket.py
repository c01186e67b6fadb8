"""An s3:// URI as a bucket and prefix, with the endpoint and keys that the pod was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from libs.blobs.reading import BlobError, Endpoint, NoSuchBlob, Reader
from services.serving.workloads.model_server.failure import (
    BAD_ARGUMENTS,
    DOWNLOAD_FAILED,
    MODEL_NOT_FOUND,
    StartFailure,
)

AWS = "https://s3.amazonaws.com"


@dataclass
class Bucket:
    uri: str
    prefix: str
    reader: Reader

    @classmethod
    def of(cls, uri: str, environ: Mapping[str, str]) -> Bucket:
        """`s3://bucket/prefix[?endpoint=...&defaultRegion=...]` (the model registry client writes the latter).

        The pod's AWS_ENDPOINT_URL wins over the URI's endpoint: keys go where the platform says.
        """
        parts = urlsplit(uri)
        query = parse_qs(parts.query)
        prefix = unquote(parts.path.lstrip("/"))
        if not parts.netloc or not prefix:
            raise StartFailure(BAD_ARGUMENTS, f"{uri} must be s3://bucket/prefix")
        endpoint = Endpoint(
            url=environ.get("AWS_ENDPOINT_URL") or query.get("endpoint", [AWS])[0],
            access_key=environ.get("AWS_ACCESS_KEY_ID") or None,
            secret_key=environ.get("AWS_SECRET_ACCESS_KEY") or None,
            region=environ.get("AWS_DEFAULT_REGION") or query.get("defaultRegion", ["us-east-1"])[0],
        )
        try:
            return cls(uri, prefix, Reader(endpoint, parts.netloc))
        except BlobError as error:
            raise StartFailure(BAD_ARGUMENTS, str(error)) from error

    def objects(self, limit: int) -> list[tuple[str, int]]:
        """The object of exactly this name, else everything in the folder of this name (`a/b` never means `a/bc`)."""
        folder = self.prefix.rstrip("/") + "/"
        try:
            found = self.reader.objects(self.prefix.rstrip("/"), limit)
        except NoSuchBlob as error:
            raise StartFailure(MODEL_NOT_FOUND, f"{self.uri}: {error}") from error
        except BlobError as error:
            raise StartFailure(DOWNLOAD_FAILED, f"{self.uri}: {error}") from error
        exact = [entry for entry in found if entry[0] == self.prefix]
        return exact or [entry for entry in found if entry[0].startswith(folder)]

    def is_one_file(self, objects: list[tuple[str, int]]) -> bool:
        return objects[0][0] == self.prefix

    def relative(self, key: str) -> str:
        return key.rsplit("/", 1)[-1] if key == self.prefix else key[len(self.prefix.rstrip("/")) + 1 :]

    def download(self, key: str, target: Path) -> None:
        try:
            self.reader.download(key, target)
        except BlobError as error:
            raise StartFailure(DOWNLOAD_FAILED, f"{self.uri}: {error}") from error
