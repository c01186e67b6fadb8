"""PyTorch programs: torch.export archives (.pt2) with their recorded shapes, and TorchScript files (.pt, .pth)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.serving.workloads.model_server.failure import WRONG_FORMAT, StartFailure
from services.serving.workloads.model_server.model import Array, Spec

DATATYPES = {
    "torch.bool": "BOOL",
    "torch.uint8": "UINT8",
    "torch.int8": "INT8",
    "torch.int16": "INT16",
    "torch.int32": "INT32",
    "torch.int64": "INT64",
    "torch.float16": "FP16",
    "torch.bfloat16": "FP32",  # NumPy has no bfloat16: carried as FP32, exact in this direction
    "torch.float32": "FP32",
    "torch.float64": "FP64",
}


class PyTorchModel:
    """Inputs in the order of the program's own arguments; outputs are its tensors, flattened, under their names."""

    platform = "pytorch"

    def __init__(self, call: Callable[..., Any], inputs: Sequence[Spec], outputs: Sequence[Spec], types: Any) -> None:
        self.call, self.inputs, self.outputs = call, inputs, outputs
        self._types = types  # the torch dtypes of the inputs, where they are known

    def predict(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        import torch
        from torch.utils._pytree import tree_leaves

        arguments = [
            torch.from_numpy(np.require(inputs[spec.name], requirements=["C", "W"])).to(dtype)
            for spec, dtype in zip(self.inputs, self._types, strict=True)
        ]
        with torch.inference_mode():
            leaves = [leaf for leaf in tree_leaves(self.call(*arguments)) if isinstance(leaf, torch.Tensor)]
        names = [spec.name for spec in self.outputs] + [f"output-{i}" for i in range(len(self.outputs), len(leaves))]
        results = {name: _array(leaf) for name, leaf in zip(names, leaves, strict=False)}
        return {name: results[name] for name in wanted or results}


def _array(tensor: Any) -> Array:
    import torch

    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def load(path: Path, threads: int) -> PyTorchModel:
    import torch

    torch.set_num_threads(threads)
    if not zipfile.is_zipfile(path):
        raise StartFailure(WRONG_FORMAT, f"{path.name} is neither a torch.export archive nor TorchScript")
    return _script(path) if path.suffix != ".pt2" else _exported(path)


def _exported(path: Path) -> PyTorchModel:
    import torch

    program = torch.export.load(path)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    names = [str(name) for name in program.graph_signature.user_inputs]
    outputs = [str(name) for name in program.graph_signature.user_outputs]
    if not_tensors := [name for name in names if not isinstance(values.get(name), torch.Tensor)]:
        raise StartFailure(WRONG_FORMAT, f"the inputs {not_tensors} are not tensors")
    return PyTorchModel(
        program.module(),
        tuple(_spec(name, values[name]) for name in names),
        tuple(_spec(name, values[name]) for name in outputs if isinstance(values.get(name), torch.Tensor)),
        [values[name].dtype for name in names],
    )


def _spec(name: str, value: Any) -> Spec:
    shape = tuple(d if isinstance(d, int) else -1 for d in value.shape)
    return Spec(name, DATATYPES[str(value.dtype)], shape)


def _script(path: Path) -> PyTorchModel:
    """TorchScript records names but neither shapes nor dtypes: floats go in as the dtype of its parameters."""
    import torch

    module = torch.jit.load(path, map_location="cpu").eval()
    schema = module.forward.schema
    names = [a.name for a in schema.arguments[1:] if str(a.type) == "Tensor"]
    floating = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    outputs = [Spec(r.name or f"output-{i}", "", None) for i, r in enumerate(schema.returns)]

    def call(*arguments: Any) -> Any:
        return module(*(a.to(floating) if a.is_floating_point() else a for a in arguments))

    return PyTorchModel(call, tuple(Spec(name, "", None) for name in names), outputs, [None] * len(names))
