"""Small real models on the iris measurements, one for each format; built once a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]


def iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def save_sklearn(folder: Path) -> Path:
    import joblib
    from sklearn.linear_model import LogisticRegression

    features, labels = iris()
    joblib.dump(LogisticRegression(max_iter=500).fit(features, labels), folder / "model.joblib")
    return folder / "model.joblib"


def save_onnx(folder: Path) -> Path:
    import joblib
    from skl2onnx import to_onnx

    model = joblib.load(save_sklearn(folder))
    graph = to_onnx(model, np.zeros((1, 4), dtype=np.float32))
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return folder / "model.onnx"


def save_xgboost(folder: Path) -> Path:
    import xgboost

    features, labels = iris()
    model = xgboost.XGBClassifier(n_estimators=10, n_jobs=1).fit(features, labels)
    model.save_model(folder / "model.json")
    return folder / "model.json"


def _two_heads():
    import torch

    class TwoHeads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores, self.gate = torch.nn.Linear(4, 3), torch.nn.Linear(4, 1)

        def forward(self, measurements: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"scores": self.scores(measurements), "gate": self.gate(measurements)}

    torch.manual_seed(0)
    return TwoHeads().eval()


def save_exported(folder: Path) -> Path:
    import torch

    shapes = {"measurements": {0: torch.export.Dim("batch")}}
    program = torch.export.export(_two_heads(), (torch.zeros(2, 4),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


def save_script(folder: Path) -> Path:
    import torch

    traced = torch.jit.trace(_two_heads().scores, torch.zeros(2, 4))
    traced.save(str(folder / "model.pt"))
    return folder / "model.pt"
