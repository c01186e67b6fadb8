"""Objects in an S3 store: the one home of its client; it must not assume whose bucket it reads."""

from libs.blobs.api import Blob, Blobs, Corrupt, Stored
from libs.blobs.reading import BlobError, Endpoint, NoSuchBlob, Reader
from libs.blobs.s3 import S3Blobs

__all__ = ["Blob", "BlobError", "Blobs", "Corrupt", "Endpoint", "NoSuchBlob", "Reader", "S3Blobs", "Stored"]
