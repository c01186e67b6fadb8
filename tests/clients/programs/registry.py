"""What a user of the model-registry client writes: register, update, list, get."""

import json
import sys
import tempfile
from pathlib import Path

import boto3
from model_registry import ModelRegistry
from model_registry.exceptions import StoreError
from model_registry.utils import S3Params

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
# S3 as the home's env file tells it: boto3 finds AWS_ENDPOINT_URL and the keys by itself, the client AWS_S3_ENDPOINT
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "model.txt").write_text("weights")
    registry.upload_artifact_and_register_model(
        "uploaded",
        folder,
        upload_params=S3Params(bucket_name="millstream", s3_prefix="tests/uploaded"),
        version="1",
        model_format_name="sklearn",
        model_format_version="1",
    )
s3 = boto3.client("s3")
stored = s3.get_object(Bucket="millstream", Key="tests/uploaded/model.txt")["Body"].read().decode()
result = {
    "stored": stored,
    "uploaded": registry.get_model_artifact("uploaded", "1").uri,
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
