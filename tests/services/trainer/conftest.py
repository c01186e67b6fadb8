"""A real S3 server for what user code does inside a job."""

from collections.abc import Iterator

import pytest

from tests.blobs.server import pod_variables, s3_server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a pod whose object store is rclone, with a dataset in it."""
    root = tmp_path_factory.mktemp("s3")
    (root / "data" / "digits").mkdir(parents=True)
    (root / "data" / "digits" / "a.txt").write_text("one")
    (root / "data" / "digits" / "b.bin").write_text("two")
    (root / "data" / "digits-old").write_text("other")
    with s3_server(root) as endpoint:
        yield pod_variables(endpoint)
