"""The one model behind all protocols: its readiness, and inference in threads so that the event loop stays free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from services.serving.workloads.model_server import errors
from services.serving.workloads.model_server.metrics import Metrics
from services.serving.workloads.model_server.model import Array, Model, check_inputs, check_outputs

log = logging.getLogger("millstream.model_server")
EXTENSIONS = ("binary_tensor_data",)


@dataclass
class Engine:
    """`model` is None until it is loaded; `draining` is set once the process was asked to end."""

    name: str
    version: str
    threads: int
    metrics: Metrics = field(default_factory=Metrics)
    model: Model | None = None
    grpc_up: bool = False
    draining: bool = False

    def __post_init__(self) -> None:
        self.metrics.serves(self.name, self.version)
        self._pool = ThreadPoolExecutor(max(1, self.threads), thread_name_prefix="infer")

    @property
    def loaded(self) -> bool:
        return self.model is not None

    @property
    def ready(self) -> bool:
        """Whether new traffic should come here: loaded, all protocols up, and not on the way out."""
        return self.loaded and self.grpc_up and not self.draining

    def find(self, name: str, version: str = "") -> Model:
        """The model of that name, or a RequestError of 404 (unknown) or 503 (still loading)."""
        if name != self.name:
            raise errors.unknown_model(name)
        if version and version != self.version:
            raise errors.unknown_version(name, version)
        if self.model is None:
            raise errors.not_ready(name)
        return self.model

    def metadata(self, name: str, version: str = "") -> dict[str, object]:
        model = self.find(name, version)
        return {
            "name": name,
            "versions": [self.version],
            "platform": model.platform,
            "inputs": [spec.metadata() for spec in model.inputs],
            "outputs": [spec.metadata() for spec in model.outputs],
        }

    async def infer(
        self, name: str, version: str, inputs: Mapping[str, Array], datatypes: Mapping[str, str], wanted: Sequence[str]
    ) -> dict[str, Array]:
        """Checked inputs in, named outputs out; a value the model itself refuses is the caller's error (400)."""
        model = self.find(name, version)
        checked = check_inputs(model, inputs, datatypes)
        check_outputs(model, wanted)
        begin = perf_counter()
        self.metrics.begun()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _predict, model, checked, wanted)
        finally:
            self.metrics.done(perf_counter() - begin)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _predict(model: Model, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    try:
        return model.predict(inputs, wanted)
    except MemoryError as error:
        raise errors.RequestError("not enough memory for a request of this size", 503) from error
    except Exception as error:
        # Names, types and shapes were right, so what is left are values this model cannot take.
        log.info("the model refused a request", exc_info=True)
        text = str(error).strip() or "no message"
        raise errors.RequestError(f"the model refused the inputs: {type(error).__name__}: {text[:500]}") from error
