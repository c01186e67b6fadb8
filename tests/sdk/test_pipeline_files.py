"""A pipeline's file and its parameters are read, or refused with what to write instead, before anything is sent."""

from pathlib import Path
from typing import Any

import pytest
from millstream.cli.pipelineresults import named
from millstream.errors import ClientError
from millstream.pipelines import files, parameters

SPEC = """
pipelineInfo: {name: sum}
root:
  inputDefinitions:
    parameters:
      a: {parameterType: NUMBER_INTEGER}
      b: {parameterType: NUMBER_DOUBLE, defaultValue: 2.0}
      c: {parameterType: STRING, isOptional: true}
      d: {parameterType: BOOLEAN, defaultValue: false}
      e: {parameterType: STRUCT, defaultValue: {}}
"""
PLATFORM = "platforms: {kubernetes: {deploymentSpec: {executors: {}}}}"


@pytest.fixture
def spec() -> dict[str, Any]:
    return files.parse(SPEC, "sum.yaml").spec


def test_a_second_document_is_what_the_pipeline_asks_of_kubernetes() -> None:
    alone, both = files.parse(SPEC, "sum.yaml"), files.parse(f"{SPEC}\n---\n{PLATFORM}", "sum.yaml")
    assert (alone.name, alone.platform) == ("sum", None) and alone.body == alone.spec
    assert both.body == {"pipeline_spec": alone.spec, "platform_spec": both.platform}
    assert both.platform is not None and "kubernetes" in both.platform["platforms"]


@pytest.mark.parametrize("text", ["", "- a", "kind: Pod", f"{SPEC}\n---\nkind: Pod", f"{SPEC}\n---\n{SPEC}", "a: ["])
def test_what_kfp_did_not_compile_is_refused_by_name(text: str) -> None:
    with pytest.raises(ClientError, match=r"odd\.yaml"):
        files.parse(text, "odd.yaml")


def test_values_become_what_the_pipeline_says_they_are(spec: dict[str, Any]) -> None:
    given = ["a=3", "b=1", "c=2", "d=True", 'e={"x": [1]}']
    assert parameters.parameters(given, spec) == {"a": 3, "b": 1, "c": "2", "d": True, "e": {"x": [1]}}
    assert parameters.parameters(["a=1", "c=x=y"], spec) == {"a": 1, "c": "x=y"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a=1.5"], "a='1.5'.*whole number"),
        (["a=true"], "a='true'.*whole number"),
        (["a=1", "b=x"], "b='x'.*number"),
        (["a=1", "e=[1]"], "e=.*JSON object"),
        (["a=1", "z=1"], "z: .*it has a, b, c, d, e"),
        (["a"], "name=value"),
        ([], "without a value: a"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_remedy(spec: dict[str, Any], given: list[str], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        parameters.parameters(given, spec)


def test_a_file_that_is_not_there_and_a_python_without_kfp_say_so(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="there is no file"):
        files.read(tmp_path / "none.yaml")
    (tmp_path / "p.py").write_text("x = 1\n")
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\nexec python3 -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ClientError, match="has no kfp"):
        files.read(tmp_path / "p.py", python=str(bare))


def test_a_task_is_found_by_its_name_and_by_its_path_as_either_command_prints_it() -> None:
    tasks = [
        {"path": "root/loop-1/0/square", "parent": "root/loop-1/0", "name": "square", "display_name": "square"},
        {"path": "root/loop-1/0", "parent": "root/loop-1", "name": "loop-1", "display_name": "loop-1 [0]"},
        {"path": "root/loop-1", "parent": "root", "name": "loop-1", "display_name": "loop-1"},
    ]
    for word in ("square", "loop-1/0/square", "loop-1/loop-1 [0]/square"):
        assert named(tasks, word) == tasks[:1]
    assert named(tasks, "") == tasks
    with pytest.raises(ClientError, match=r"called 'sqare'; there are loop-1/0/square, loop-1/0, loop-1$"):
        named(tasks, "sqare")
