"""Runs inside the model server's image: saves a model with torch, serves it, and prints what it predicts."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import torch

model = torch.nn.Linear(2, 1)
with torch.no_grad():
    model.weight.copy_(torch.tensor([[2.0, 3.0]]))
    model.bias.copy_(torch.tensor([1.0]))
shape = {0: torch.export.Dim("batch")}
torch.export.save(torch.export.export(model, (torch.zeros(2, 2),), dynamic_shapes=(shape,)), "/tmp/model.pt2")

words = ["--model-name=line", "--storage-uri=file:///tmp/model.pt2", "--format=pytorch", "--host=127.0.0.1"]
words += ["--drain-seconds=0"]
server = subprocess.Popen(["/opt/millstream/bin/start", *words], env=dict(os.environ))
ready, until = False, time.monotonic() + 60
while not ready and time.monotonic() < until and server.poll() is None:
    time.sleep(0.1)
    try:
        ready = urllib.request.urlopen("http://127.0.0.1:8080/v2/health/ready", timeout=5).status == 200
    except OSError:
        continue
asked = {"inputs": [{"name": "input-0", "datatype": "FP32", "shape": [1, 2], "data": [10, 100]}]}
name = json.load(urllib.request.urlopen("http://127.0.0.1:8080/v2/models/line"))["inputs"][0]["name"]
asked["inputs"][0]["name"] = name
request = urllib.request.Request("http://127.0.0.1:8080/v2/models/line/infer", json.dumps(asked).encode())
print("predicted", json.load(urllib.request.urlopen(request))["outputs"][0]["data"])
server.send_signal(signal.SIGTERM)
print("ended", server.wait(timeout=30))
