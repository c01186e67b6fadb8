"""The golden files are what the models say, the same on every machine, and another system can rely on them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from contracts.envelope import registry
from contracts.golden.__main__ import SERVICES, main, speakers
from contracts.golden.asyncapi import Speaker
from contracts.golden.files import HOME, broken, differences, documents, promised_at, promised_on_disk, write
from contracts.golden.kinds import kind_models

SPEAKERS = [Speaker("trainer", ("training.trainjob.created.v1",), ("training.trainjob.apply.v1",))]


def golden(path: str) -> Any:
    return json.loads((HOME / path).read_text())


def test_the_golden_files_are_fresh() -> None:
    assert differences(documents(speakers())) == []


def test_they_are_the_same_whatever_python_hashes_strings_to() -> None:
    made = [
        subprocess.run(
            [sys.executable, "-c", "from contracts.golden.files import *; print(text(documents([])))"],
            cwd=HOME.parent.parent, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert made[0] == made[1]
    assert "training.trainjob.created.v1" in made[0]


@pytest.mark.parametrize("type", registry())
def test_a_sample_letter_fits_the_published_schemas(type: str) -> None:
    letter = golden(f"letters/{type}.json")
    schema = golden(f"schemas/{type}.json")
    jsonschema.validate(letter, golden("schemas/letter.json"), cls=jsonschema.Draft202012Validator)
    jsonschema.validate(letter["data"], schema, cls=jsonschema.Draft202012Validator)
    assert letter["dataschema"] == schema["$id"]
    assert set(letter["data"]) == set(schema["properties"]), "a sample fills every field"


@pytest.mark.parametrize("type", registry())
def test_a_letter_that_lacks_a_required_field_does_not_fit(type: str) -> None:
    schema, data = golden(f"schemas/{type}.json"), golden(f"letters/{type}.json")["data"]
    for field in schema["required"]:
        with pytest.raises(jsonschema.ValidationError, match=field):
            jsonschema.validate({k: v for k, v in data.items() if k != field}, schema)


@pytest.mark.parametrize("type", [type for type in registry() if ".apply." in type])
def test_the_manifest_in_a_sample_command_is_one_its_kind_takes(type: str) -> None:
    manifest = golden(f"letters/{type}.json")["data"]["manifest"]
    kind_models()[manifest["kind"]].model_validate(manifest)


@pytest.mark.parametrize("name", kind_models())
def test_a_kinds_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(golden(f"kinds/{name}.json"))


def test_the_asyncapi_document_is_valid_and_knows_every_type_and_every_manifest() -> None:
    document = golden("asyncapi.json")
    ApplicationSchema.model_validate(document)
    assert set(document["channels"]) == set(document["components"]["messages"]) == set(registry())
    for path in SERVICES.glob("*/service.yaml"):
        manifest = yaml.safe_load(path.read_text())
        for verb in ("says", "hears"):
            for type in manifest.get(verb) or ():
                assert f"{manifest['name']}.{verb}.{type}" in document["operations"]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = golden("asyncapi.json")
    found = list(_references(document))
    assert found
    for reference in found:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_writing_mends_what_is_stale_missing_or_superfluous(tmp_path: Path) -> None:
    wanted = documents(SPEAKERS)
    write(wanted, tmp_path)
    (tmp_path / "schemas/training.trainjob.created.v1.json").write_text("{}")
    (tmp_path / "letters/training.trainjob.created.v1.json").unlink()
    (tmp_path / "schemas/training.trainjob.forgotten.v1.json").write_text("{}")
    changed = [
        "letters/training.trainjob.created.v1.json",
        "schemas/training.trainjob.created.v1.json",
        "schemas/training.trainjob.forgotten.v1.json",
    ]
    assert differences(wanted, tmp_path) == changed
    assert write(wanted, tmp_path) == changed
    assert differences(wanted, tmp_path) == []


def test_a_type_or_a_field_that_goes_is_told_by_name(tmp_path: Path) -> None:
    write(documents(SPEAKERS), tmp_path)
    promised = promised_on_disk(tmp_path)
    wanted = documents(SPEAKERS)
    del wanted["schemas/training.trainjob.started.v1.json"]
    del wanted["schemas/training.trainjob.failed.v1.json"]["properties"]["message"]
    assert broken(documents(SPEAKERS), promised) == []
    assert broken(wanted, promised) == [
        "schemas/training.trainjob.failed.v1.json: message: is gone",
        "schemas/training.trainjob.started.v1.json: is gone; keep a version until no manifest names it",
    ]


def test_promises_of_a_git_revision_are_read_from_git(tmp_path: Path) -> None:
    home = tmp_path / "contracts" / "golden"
    write(documents(SPEAKERS), home)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "promise"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (home / "schemas/letter.json").unlink()
    promised = promised_at("HEAD", home)
    assert "schemas/letter.json" in promised
    assert promised.keys() == promised_on_disk(home).keys() | {"schemas/letter.json"}


def test_the_command_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""
