"""What a user of the kserve SDK writes: create, wait, predict over REST (V1, V2) and gRPC, patch, delete."""

import asyncio
import json
import sys
from urllib.parse import urlsplit

import numpy as np
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    KServeClient,
    RESTConfig,
    V1beta1InferenceService,
    V1beta1InferenceServiceSpec,
    V1beta1ModelFormat,
    V1beta1ModelSpec,
    V1beta1PredictorSpec,
)
from kubernetes import client as k8s

given = json.loads(sys.argv[1])
name, namespace, rows = given["name"], given.get("namespace", "default"), given["rows"]
kserve = KServeClient()
service = V1beta1InferenceService(
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    metadata=k8s.V1ObjectMeta(name=name, namespace=namespace),
    spec=V1beta1InferenceServiceSpec(
        predictor=V1beta1PredictorSpec(
            min_replicas=1,
            model=V1beta1ModelSpec(
                model_format=V1beta1ModelFormat(name="sklearn"), protocol_version="v2", storage_uri=given["uri"]
            ),
        )
    ),
)
kserve.create(service)
kserve.wait_isvc_ready(name, namespace=namespace, timeout_seconds=120, polling_interval=1)
stored = kserve.get(name, namespace=namespace)
url = stored["status"]["url"]
if given.get("door"):  # where the platform is reached from here, when its own name for itself is not
    url = given["door"] + urlsplit(url).path
headers = {"Authorization": "Bearer " + given["token"]}


def tensor():
    data = np.array(rows, dtype=np.float32)
    item = InferInput(name="x", shape=list(data.shape), datatype="FP32")
    item.set_data_from_numpy(data, binary_data=False)
    return item


async def ask():
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    ready = await v2.is_server_ready(url, headers=headers)
    answer = await v2.infer(
        url, InferRequest(model_name=name, infer_inputs=[tensor()]), model_name=name, headers=headers
    )
    old = await v1.infer(url, {"instances": rows}, model_name=name, headers=headers)
    if given.get("door"):
        return ready, answer.outputs[0].as_numpy().tolist(), old["predictions"], None, None
    grpc_url = stored["status"]["components"]["predictor"]["grpcUrl"].split("//")[-1]
    async with InferenceGRPCClient(url=grpc_url) as grpc:
        grpc_ready = await grpc.is_server_ready()
        rpc = await grpc.infer(InferRequest(model_name=name, infer_inputs=[tensor()]))
    return (
        ready,
        answer.outputs[0].as_numpy().tolist(),
        old["predictions"],
        grpc_ready,
        rpc.outputs[0].as_numpy().tolist(),
    )


ready, rest, v1, grpc_ready, grpc = asyncio.run(ask())
service.metadata.annotations = {"note": "patched"}
kserve.patch(name, service, namespace=namespace)
patched = kserve.get(name, namespace=namespace)["metadata"]["annotations"]["note"]
kserve.delete(name, namespace=namespace)
result = {
    "ready": ready,
    "rest": rest,
    "v1": v1,
    "grpc_ready": grpc_ready,
    "grpc": grpc,
    "patched": patched,
    "url": url,
}
print("RESULT " + json.dumps(result))
