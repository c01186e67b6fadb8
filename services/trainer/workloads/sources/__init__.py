"""Where datasets and models come from: one module for each scheme, and one line here."""

from collections.abc import Callable
from urllib.parse import urlsplit

from services.trainer.workloads.failure import Failure
from services.trainer.workloads.sources import claim, hub, s3, web
from services.trainer.workloads.task import Task

Source = Callable[[Task], None]

SOURCES: dict[str, Source] = {
    "s3": s3.fetch,
    "pvc": claim.fetch,
    "http": web.fetch,
    "https": web.fetch,
    "hf": hub.fetch,
}


def source_of(uri: str) -> Source:
    scheme = urlsplit(uri).scheme
    if scheme not in SOURCES:
        raise Failure(uri, f"the scheme {scheme!r} is unknown", f"use one of {', '.join(SOURCES)}")
    return SOURCES[scheme]
