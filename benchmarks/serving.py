"""What a prediction costs over the wire, beside the model itself: `python -m benchmarks.serving [--seconds S]`.

One caller, one row of the iris measurements a request, over one kept-alive connection, JSON and raw tensors; the model
is called directly in this process for as long in the same run. Milliseconds, p50 and p99.
"""

import argparse
import http.client
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

ROW = [[5.1, 3.5, 1.4, 0.2]]
TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP32"}


def make_models(folder: Path) -> dict[str, Path]:
    from skl2onnx import to_onnx

    features, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, labels)
    joblib.dump(model, folder / "model.joblib")
    (folder / "model.onnx").write_bytes(to_onnx(model, np.zeros((1, 4), np.float32)).SerializeToString())
    return {"sklearn": folder / "model.joblib", "onnx": folder / "model.onnx"}


def direct(form: str, path: Path) -> Callable[[], object]:
    """The model itself, loaded by the same code that the server uses."""
    from services.serving.workloads.model_server import frameworks

    model = frameworks.load(form, path, 1)
    spec = model.inputs[0]
    rows = {spec.name: np.array(ROW, np.float64 if spec.datatype == "FP64" else np.float32)}
    return lambda: model.predict(rows, ())


@contextmanager
def server(form: str, path: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "services.serving.workloads.model_server", "--model-name=m", "--grpc-port=0"]
    options = [f"--storage-uri={path}", f"--format={form}", f"--http-port={port}", "--drain-seconds=0"]
    process = subprocess.Popen([*program, *options], stderr=subprocess.DEVNULL)
    try:
        wait_ready(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_ready(port: int, limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"no model server on port {port} after {limit_s} s")


def post(port: int, body: bytes, headers: dict[str, str]) -> Callable[[], object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call() -> object:
        connection.request("POST", "/v2/models/m/infer", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    return call


def bodies() -> dict[str, tuple[bytes, dict[str, str]]]:
    plain = json.dumps({"inputs": [{**TENSOR, "data": ROW[0]}]}).encode()
    raw = np.array(ROW, "<f4").tobytes()
    head = json.dumps({"inputs": [{**TENSOR, "parameters": {"binary_data_size": len(raw)}}]}).encode()
    return {
        "V2 REST, JSON": (plain, {"content-type": "application/json"}),
        "V2 REST, raw tensors": (head + raw, {"inference-header-content-length": str(len(head))}),
    }


def measure(call: Callable[[], object], seconds: float) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and calls per second."""
    for _ in range(20):
        call()
    spent, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1000)
    cuts = statistics.quantiles(spent, n=100)
    return cuts[49], cuts[98], len(spent) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        for form, path in make_models(Path(folder)).items():
            tell(form, "the model itself", measure(direct(form, path), seconds))
            with server(form, path) as port:
                for name, (body, headers) in bodies().items():
                    tell(form, name, measure(post(port, body, headers), seconds))


def tell(form: str, name: str, found: tuple[float, float, float]) -> None:
    p50, p99, rate = found
    print(f"{form:8} {name:22} p50 {p50:7.3f} ms  p99 {p99:7.3f} ms  {rate:7.0f} calls/s")


if __name__ == "__main__":
    main()
