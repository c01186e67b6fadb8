"""Artifacts of every class, their metadata, files by path, and an artifact as the output of the pipeline."""

from kfp import dsl
from kfp.dsl import HTML, ClassificationMetrics, Dataset, Input, InputPath, Markdown, Metrics, Model, Output, OutputPath


@dsl.component(base_image="python:3.11")
def write(rows: int, data: Output[Dataset], raw: OutputPath("Dataset"), note: OutputPath(str)):
    with open(data.path, "w") as file:
        file.write("\n".join(str(row) for row in range(rows)))
    data.metadata["rows"] = rows
    data.metadata["columns"] = ["row"]
    with open(raw, "w") as file:
        file.write("raw bytes")
    with open(note, "w") as file:
        file.write(f"{rows} rows")


@dsl.component(base_image="python:3.11")
def train(data: Input[Dataset], raw: InputPath("Dataset"), note: str, model: Output[Model]) -> int:
    with open(data.path) as file:
        rows = file.read().split()
    with open(raw) as file:
        if file.read() != "raw bytes" or note != f"{len(rows)} rows":
            raise ValueError("the inputs are not what was written")
    with open(model.path, "w") as file:
        file.write(f"mean {sum(map(int, rows)) / len(rows)}")
    model.framework = "none"
    model.metadata["trained_on"] = data.metadata["rows"]
    return len(rows)


@dsl.component(base_image="python:3.11")
def judge(
    model: Input[Model],
    metrics: Output[Metrics],
    classes: Output[ClassificationMetrics],
    page: Output[HTML],
    text: Output[Markdown],
):
    metrics.log_metric("accuracy", 0.75)
    metrics.log_metric("rows", model.metadata["trained_on"])
    classes.log_roc_curve([0.0, 0.1, 1.0], [0.0, 0.9, 1.0], [1.0, 0.5, 0.0])
    classes.log_confusion_matrix(["cat", "dog"], [[5, 1], [2, 8]])
    with open(page.path, "w") as file:
        file.write("<h1>Judged</h1>")
    with open(text.path, "w") as file:
        file.write("# Judged")


@dsl.pipeline(name="artifacts")
def pipeline(rows: int = 10) -> Model:
    written = write(rows=rows)
    trained = train(data=written.outputs["data"], raw=written.outputs["raw"], note=written.outputs["note"])
    judge(model=trained.outputs["model"])
    return trained.outputs["model"]
