"""The model-registry client registers, updates, lists and gets, as against Kubeflow Hub."""

from __future__ import annotations

from tests.clients.conftest import Client


def test_models_are_registered_updated_listed_and_got(model_registry: Client) -> None:
    platform = model_registry.platform
    told = model_registry.program("registry", http=platform.http, token=platform.token)
    assert told["id"].isdigit()
    assert "already exists" in told["twice"]
    assert told["description"] == "better"
    assert told["properties"] == {"acc": 0.95, "n": 3, "s": "x", "b": True}
    assert told["model"] == "flowers"
    assert (told["uri"], told["format"]) == ("s3://b/k", "sklearn")
    assert "iris" in told["names"]
    assert told["versions"] == ["1", "2", "3", "4", "5"]
    assert told["missing"]
    assert told["stored"] == "weights"
    assert told["uploaded"].startswith("s3://millstream/tests/uploaded")
