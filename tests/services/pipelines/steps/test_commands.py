"""What every release of kfp compiles a Python component to is recognised, and nothing that only looks like it."""

from pathlib import Path

import pytest
import yaml

from services.pipelines.workloads.launcher.commands import FUNCTION, function, parted

GOLDEN = Path(__file__).parents[1] / "golden"
LIGHT = ["sh", "-ec", FUNCTION, "source", "--function_to_execute", "add"]
CHECK = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 """


@pytest.mark.parametrize("release", sorted(GOLDEN.glob("kfp_*")), ids=lambda folder: folder.name)
def test_components_of_every_release_are_recognised(release: Path) -> None:
    """The first releases ran another module, which is left to an interpreter of its own; their pip is recognised."""
    seen = 0
    for container in _containers(sorted(release.glob("*.yaml"))[0]):
        words = [*container.get("command", []), *container.get("args", [])]
        if words[:1] == ["sh"] and any(".executor_main" in word for word in words):
            command = parted(words)
            assert any("kfp==" in word for arguments in command.installs for word in arguments)
            assert (function(command.rest) is None) == ("kfp.components.executor_main" in command.rest[2])
            seen += 1
    assert seen


def _containers(file: Path) -> list[dict[str, list[str]]]:
    spec = next(yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader))
    return [one["container"] for one in spec["deploymentSpec"]["executors"].values() if "container" in one]


def test_installs_are_taken_off_with_their_options() -> None:
    script = (
        CHECK + "python3 -m pip install --quiet --index-url https://x/simple 'a==1' 'b>=2; python_version<\"3.9\"' "
    )
    found = parted(
        ["sh", "-c", f"{script} && python3 -m pip install 'kfp==2.17.0' '--no-deps' && \"$0\" \"$@\"\n", *LIGHT]
    )
    assert found.installs == [
        ["--quiet", "--index-url", "https://x/simple", "a==1", 'b>=2; python_version<"3.9"'],
        ["kfp==2.17.0", "--no-deps"],
    ]
    assert found.rest == LIGHT


@pytest.mark.parametrize(
    "script",
    [
        "python3 -m pip install a",
        CHECK + 'python3 -m pip install a; rm -r / && "$0" "$@"',
        CHECK + 'python3 -m pip install $(cat list) && "$0" "$@"',
        CHECK + 'python3 -m pip install a > log && "$0" "$@"',
        CHECK + 'python3 -m pip install a && make it && "$0" "$@"',
        CHECK + "python3 -m pip install a",
    ],
)
def test_any_other_script_runs_as_it_stands(script: str) -> None:
    words = ["sh", "-c", script, *LIGHT]
    assert parted(words) == ([], words)
    assert function(["sh", "-ec", FUNCTION + " extra", "source"]) is None
