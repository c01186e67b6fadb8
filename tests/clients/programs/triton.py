"""What a user of tritonclient writes: readiness, metadata and inference over HTTP (binary tensors) and gRPC."""

import json
import sys

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

given = json.loads(sys.argv[1])
name, data = given["name"], np.array(given["rows"], dtype=np.float32)


def ask(module, url, headers, **options):
    client = module.InferenceServerClient(url=url)
    live = client.is_server_live(headers=headers)
    ready = client.is_model_ready(name, headers=headers)
    item = module.InferInput("x", list(data.shape), "FP32")
    item.set_data_from_numpy(data, **options)
    answer = client.infer(name, [item], headers=headers)
    first = answer.get_response()
    output = first["outputs"][0]["name"] if isinstance(first, dict) else first.outputs[0].name
    return {"live": live, "ready": ready, "values": answer.as_numpy(output).tolist()}


auth = {"Authorization": "Bearer " + given["token"]}
http = ask(triton_http, given["url"].split("//", 1)[1], auth, binary_data=True)
grpc = ask(triton_grpc, given["grpc_url"].split("//")[-1], None) if given["grpc_url"] else None
print("RESULT " + json.dumps({"http": http, "grpc": grpc}))
