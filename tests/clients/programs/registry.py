"""What a user of the model-registry client writes: register, update, list, get."""

import json
import sys

from model_registry import ModelRegistry
from model_registry.exceptions import StoreError

given = json.loads(sys.argv[1])
host, _, port = given["http"].rpartition(":")
registry = ModelRegistry(host, int(port), author="me", is_secure=False, user_token=given["token"])
meta = {"acc": 0.9, "n": 3, "s": "x", "b": True}
model = registry.register_model(
    "iris",
    "s3://b/k",
    version="1",
    description="d",
    model_format_name="sklearn",
    model_format_version="1",
    metadata=meta,
)
try:
    registry.register_model("iris", "s3://b/k", version="1", model_format_name="sklearn", model_format_version="1")
    twice = "accepted"
except StoreError as error:
    twice = str(error)
for number in range(2, 6):
    registry.register_model(
        "iris", f"s3://b/k{number}", version=str(number), model_format_name="onnx", model_format_version="1"
    )
version = registry.get_model_version("iris", "1")
version.description = "better"
version.custom_properties["acc"] = 0.95
registry.update(version)
model.description = "flowers"
registry.update(model)
again = registry.get_model_version("iris", "1")
artifact = registry.get_model_artifact("iris", "1")
names = [m.name for m in registry.get_registered_models()]
versions = [v.name for v in registry.get_model_versions("iris").order_by_creation_time()]
result = {
    "id": model.id,
    "twice": twice,
    "description": again.description,
    "properties": again.custom_properties,
    "model": registry.get_registered_model("iris").description,
    "uri": artifact.uri,
    "format": artifact.model_format_name,
    "names": names,
    "versions": versions,
    "missing": registry.get_registered_model("nothing") is None,
}
print("RESULT " + json.dumps(result))
