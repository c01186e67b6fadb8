"""One S3 server and one step door for the tests of a module; every test has a folder and a step of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.blobs import Endpoint, S3Blobs
from tests.blobs.server import s3_server
from tests.services.pipelines.steps.places import BUCKET, Bench, bench


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
async def place(endpoint: Endpoint, tmp_path: Path) -> AsyncIterator[Bench]:
    blobs = S3Blobs(endpoint, BUCKET)
    async with bench(blobs, tmp_path) as found:
        yield found
    blobs.close()
