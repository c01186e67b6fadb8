"""KFP's protobufs as a check: a compiled pipeline goes through them once and comes out as their canonical JSON.

This is the one place that knows the package kfp-pipeline-spec. A field that it does not know is refused: run without
it, the pipeline would mean something else.
"""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.problems import Problem, SpecError
from services.pipelines.domain.ir.reading import read

DEEPEST = 100


def canonical(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(pipeline, platforms) of what a client sends as `pipeline_spec`: the pipeline alone, or both in one wrapper.
    SpecError names the field that KFP's schema does not have or has otherwise."""
    spec, platform = parted(document)
    found = _through(spec, pb.PipelineSpec(), "")
    deployment = _through(found.get("deploymentSpec", {}), pb.PipelineDeploymentConfig(), "deploymentSpec")
    platforms = _through(platform, pb.PlatformSpec(), "platform_spec")
    return {**found, "deploymentSpec": deployment}, platforms


def pipeline_of(body: str) -> Pipeline:
    """The pipeline of a stored body: JSON, `{"pipeline_spec": ..., "platform_spec": ...}` of what `canonical` gave."""
    spec, platform = parted(json.loads(body))
    return read(spec, platform)


def parted(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The pipeline's document and the platforms', which clients wrap together when there are two."""
    for spec, platform in (("pipeline_spec", "platform_spec"), ("pipelineSpec", "platformSpec")):
        if spec in document:
            return _mapping(document[spec], spec), _mapping(document.get(platform) or {}, platform)
    return document, {}


def _mapping(said: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise SpecError([Problem(field, f"expected an object, found {type(said).__name__}")])
    return said


def _through(said: Mapping[str, Any], message: Message, field: str) -> dict[str, Any]:
    try:
        json_format.ParseDict(dict(said), message, max_recursion_depth=DEEPEST)
        found: dict[str, Any] = json_format.MessageToDict(message)
    except (json_format.Error, RecursionError, TypeError, ValueError, AttributeError) as error:
        raise SpecError([Problem(field, f"this is no compiled KFP pipeline: {error}")]) from None
    return found
