"""Reads `inputDefinitions` and `outputDefinitions`: what a component takes and gives, with types and defaults."""

from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.ir.model import ArtifactSpec, Interface, ParamSpec, ParamType
from services.pipelines.domain.ir.problems import Problems
from services.pipelines.domain.ir.values import ValueTypeError, constant

NAME_MAX = 253
OLD_TYPES = {"INT": ParamType.INTEGER, "DOUBLE": ParamType.DOUBLE, "STRING": ParamType.STRING}


def read_interface(said: Mapping[str, Any], problems: Problems) -> Interface:
    """One of the two definitions of a component."""
    parameters: dict[str, ParamSpec] = {}
    for name, each in sorted(said.get("parameters", {}).items()):
        with problems.at("parameters", name):
            parameters[name] = _parameter(name, each, problems)
    artifacts: dict[str, ArtifactSpec] = {}
    for name, each in sorted(said.get("artifacts", {}).items()):
        with problems.at("artifacts", name):
            artifacts[name] = _artifact(name, each)
            _check_length(artifacts[name].schema_title, "artifactType.schemaTitle", problems)
    for name in parameters.keys() & artifacts.keys():
        problems.add("a parameter and an artifact have the same name", name)
    for name in (*parameters, *artifacts):
        _check_length(name, name[:20], problems)
    return Interface(parameters, artifacts)


def _check_length(name: str, field: str, problems: Problems) -> None:
    if len(name) > NAME_MAX:
        problems.add(f"a name of {len(name)} characters: at most {NAME_MAX} are taken", field)


def _parameter(name: str, said: Mapping[str, Any], problems: Problems) -> ParamSpec:
    type_ = _type(said, problems)
    default, literals = said.get("defaultValue"), said.get("literals", ())
    try:
        default = None if default is None else constant(default, type_)
        literals = tuple(constant(each, type_) for each in literals)
    except ValueTypeError as error:
        problems.add(f"a default or literal does not fit: {error}")
    return ParamSpec(
        name=name,
        type=type_,
        optional=said.get("isOptional", False) or default is not None,
        has_default=default is not None,
        default=default,
        literals=literals,
        description=said.get("description", ""),
    )


def _type(said: Mapping[str, Any], problems: Problems) -> ParamType:
    word = said.get("parameterType", "")
    if word in ParamType.__members__.values():
        return ParamType(word)
    if said.get("type") in OLD_TYPES:
        return OLD_TYPES[said["type"]]
    problems.add(f"{word!r} is no type of parameters: use one of {', '.join(ParamType)}", "parameterType")
    return ParamType.STRING


def _artifact(name: str, said: Mapping[str, Any]) -> ArtifactSpec:
    kind = said.get("artifactType", {})
    return ArtifactSpec(
        name=name,
        schema_title=kind.get("schemaTitle", "system.Artifact"),
        schema_version=kind.get("schemaVersion", "0.0.1"),
        is_list=said.get("isArtifactList", False),
        optional=said.get("isOptional", False),
        metadata=said.get("metadata", {}),
        description=said.get("description", ""),
    )
