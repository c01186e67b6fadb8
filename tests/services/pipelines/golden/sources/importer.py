"""Artifacts that exist already: by a constant URI, by a parameter, with metadata, imported anew, read by a task."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def size(data: dsl.Input[dsl.Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read())


@dsl.component(base_image="python:3.11")
def where(data: dsl.Input[dsl.Model]) -> str:
    return f"{data.uri} {data.metadata}"


@dsl.pipeline(name="importer")
def pipeline(uri: str, version: str = "1"):
    given = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, reimport=True, metadata={"version": version})
    constant = dsl.importer(
        artifact_uri="gs://elsewhere/model",
        artifact_class=dsl.Model,
        reimport=False,
        metadata={"a": {"b": [1, 2]}, "team": "blue"},
    )
    size(data=given.output)
    where(data=constant.output)
