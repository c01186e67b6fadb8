"""The pipelines service starts from its manifest."""

from services.pipelines.app import build


def test_the_manifest_names_the_service() -> None:
    assert build().manifest.name == "pipelines"
