"""What one namespace may not name: places in the bucket that belong to the runs of another.

`home` is the URI below which every namespace keeps the outputs of its runs, `s3://<bucket>/pipelines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from services.pipelines.domain.importing import foreign as not_ours
from services.pipelines.domain.ir.model import Constant, FromInput, ImporterExecutor, ParamSource, Pipeline
from services.pipelines.domain.ir.problems import Problem


def root_problem(root: str, home: str, namespace: str, field: str = "runtime_config.pipeline_root") -> Problem | None:
    """What is wrong with the root that a user wants; "" is always right."""
    own = f"{home}/{namespace}"
    if not root or ((root.rstrip("/") == own or root.startswith(f"{own}/")) and ".." not in root.split("/")):
        return None
    return Problem(
        field, f"{root!r} is not below {own}/, where runs of this namespace keep their outputs: leave it out"
    )


def foreign(uri: str, home: str, namespace: str) -> bool:
    """Whether a URI leads to what another namespace's runs made."""
    if not uri.startswith(f"{home}/"):
        return False
    return ".." in uri.split("/") or not uri.startswith(f"{home}/{namespace}/")


def import_problems(pipeline: Pipeline, parameters: Mapping[str, Any], home: str, namespace: str) -> Iterator[Problem]:
    """Importers of what belongs to another namespace, as far as can be told before anything runs."""
    for field, uri in _imported(pipeline, parameters):
        if isinstance(uri, str) and (why := not_ours(uri, namespace, urlsplit(home).netloc)):
            yield Problem(field, why)


def _imported(pipeline: Pipeline, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, executor in pipeline.executors.items():
        if isinstance(executor, ImporterExecutor) and executor.uri:
            yield f"deploymentSpec.executors.{name}.importer.artifactUri", executor.uri
    for component in pipeline.components.values():
        for task in component.dag.tasks.values() if component.dag else ():
            executor_ = pipeline.executor_of(task.component)
            if not isinstance(executor_, ImporterExecutor) or executor_.uri_input not in task.parameters:
                continue
            given = parameters if component is pipeline.root else {}
            found = _value(task.parameters[executor_.uri_input], given)
            yield f"{component.name}.dag.tasks.{task.name}.inputs.parameters.{executor_.uri_input}", found


def _value(source: ParamSource, given: Mapping[str, Any]) -> Any:
    if isinstance(source.source, Constant):
        return source.source.value
    return given.get(source.source.name) if isinstance(source.source, FromInput) else None
