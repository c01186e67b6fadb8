"""Reads `deploymentSpec.executors`: the containers and importers that components are run by."""

import re
from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.ir.model import ContainerExecutor, Executor, ImporterExecutor, Resources
from services.pipelines.domain.ir.problems import Problems
from services.pipelines.domain.ir.values import text_of, whole

QUANTITY = re.compile(r"^\d+(\.\d+)?(m|k|[KMGTPE]i?|[eE]\d+)?$")
NUMBERS = ("cpuLimit", "memoryLimit", "cpuRequest", "memoryRequest")
NOT_YET = {"resolver": "KFP's resolver is of Vertex AI", "customJob": "a custom job is of Vertex AI"}


def read_executor(name: str, said: Mapping[str, Any], problems: Problems) -> Executor | None:
    """One executor; None, and a problem, if it is of a kind that is not run here."""
    if "container" in said:
        with problems.at("container"):
            return _container(name, said["container"], problems)
    if "importer" in said:
        with problems.at("importer"):
            return _importer(name, said["importer"], problems)
    for kind, why in NOT_YET.items():
        if kind in said:
            problems.add(f"{why} and is not run here: use a container")
            return None
    problems.add("it says neither `container` nor `importer`")
    return None


def _container(name: str, said: Mapping[str, Any], problems: Problems) -> ContainerExecutor:
    if not said.get("image"):
        problems.add("a container needs an image", "image")
    with problems.at("resources"):
        resources = _resources(said.get("resources", {}), problems)
    return ContainerExecutor(
        name=name,
        image=said.get("image", ""),
        command=tuple(said.get("command", ())),
        args=tuple(said.get("args", ())),
        env=tuple((each.get("name", ""), each.get("value", "")) for each in said.get("env", ())),
        resources=resources,
    )


def _resources(said: Mapping[str, Any], problems: Problems) -> Resources:
    """The texts of newer compilers go before the numbers of older ones."""
    accelerator = said.get("accelerator", {})
    count = accelerator.get("resourceCount") or str(accelerator.get("count", "") or "")
    words = {field: said.get(_newer(field)) or _number(field, said.get(field, 0.0)) for field in NUMBERS}
    for field, word in words.items():
        if word and "{{" not in word and not QUANTITY.match(word):
            problems.add(f"{word!r} is no quantity: write a number such as 500m, 2 or 512Mi", _newer(field))
    return Resources(
        cpu_limit=words["cpuLimit"],
        cpu_request=words["cpuRequest"],
        memory_limit=words["memoryLimit"],
        memory_request=words["memoryRequest"],
        accelerator_type=accelerator.get("resourceType") or accelerator.get("type", ""),
        accelerator_count=count,
    )


def _newer(field: str) -> str:
    return f"resource{field[0].upper()}{field[1:]}"


def _number(field: str, amount: float) -> str:
    """CPUs as a number of CPUs, memory (given in 10^9 bytes) as a number of bytes; nothing for nothing."""
    if not amount:
        return ""
    return str(round(amount * 1e9)) if field.startswith("memory") else f"{amount:g}"


def _importer(name: str, said: Mapping[str, Any], problems: Problems) -> ImporterExecutor:
    source, kind = said.get("artifactUri", {}), said.get("typeSchema", {})
    uri = source.get("constant", source.get("constantValue", {}).get("stringValue", ""))
    uri_input = source.get("runtimeParameter", "")
    if not uri and not uri_input:
        problems.add("an importer needs the URI of what it imports", "artifactUri")
    return ImporterExecutor(
        name=name,
        schema_title=kind.get("schemaTitle", "system.Artifact"),
        schema_version=kind.get("schemaVersion", "0.0.1"),
        uri=text_of(uri),
        uri_input=uri_input,
        metadata=whole(said.get("metadata", {})),
        reimport=said.get("reimport", False),
        to_workspace=said.get("downloadToWorkspace", False),
    )
