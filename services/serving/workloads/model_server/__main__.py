"""The program in a predictor pod: listen, fetch, load, serve, drain; it reads the environment here and nowhere else."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from services.serving.workloads.model_server.failure import StartFailure, leave_word
from services.serving.workloads.model_server.lifecycle import Options, serve


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="model_server", description="Serve one model over V1, V2 REST and gRPC.")
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-version", default="1")
    parser.add_argument("--storage-uri", required=True)
    parser.add_argument("--format", required=True, help="sklearn, xgboost, onnx or pytorch")
    parser.add_argument("--host", default=os.environ.get("POD_IP") or "127.0.0.1")
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--grpc-port", type=int, default=8081)
    parser.add_argument("--threads", type=int, default=1, help="concurrent predictions and threads inside the model")
    parser.add_argument("--drain-seconds", type=float, default=3.0, help="keep accepting this long after SIGTERM")
    parser.add_argument("--grace-seconds", type=float, default=20.0, help="then wait this long for requests in flight")
    parser.add_argument("--max-body-bytes", type=int, default=64 << 20)
    parser.add_argument("--max-model-bytes", type=int, default=16 << 30)
    parser.add_argument("--termination-log", default="/dev/termination-log")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    args = parse_args(argv)
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = Options(**{key: value for key, value in vars(args).items() if key != "termination_log"})
    try:
        asyncio.run(_life(options))
    except StartFailure as failure:
        leave_word(failure, Path(args.termination_log))
        print(failure.line(), file=sys.stderr, flush=True)
        os._exit(failure.exit_code)
    return 0


async def _life(options: Options) -> None:
    await serve(options, os.environ)
    # A download may still hang in its thread, which asyncio would wait for; all requests are answered by now.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
