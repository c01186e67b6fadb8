"""A step's pod: what the platform document of a compiled pipeline becomes, and names that clusters take."""

import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from services.pipelines.adapters.begin import COMPILED
from services.pipelines.adapters.launcher import launcher
from services.pipelines.domain.engine.records import Values
from services.pipelines.domain.steps.naming import pod_name
from services.pipelines.domain.steps.placeholders import PlaceholderError, Scope
from services.pipelines.domain.steps.places import attempt_root
from services.pipelines.domain.steps.platform import resolved
from services.pipelines.domain.steps.pod import Site, namespace_objects, pod
from services.pipelines.domain.steps.workspace import workspace
from tests.services.pipelines.steps.places import ordered

SITE = Site("http://pipelines:8080", "http://gateway:8080", b"zip", shares_environments=True)
DOCUMENT = {
    "secretAsEnv": [{"secretNameParameter": {"componentInputParameter": "which"},
                     "keyToEnv": [{"secretKey": "password", "envVar": "PASSWORD"}]}],
    "configMapAsVolume": [{"configMapName": "settings", "mountPath": "/etc/settings", "optional": True}],
    "pvcMount": [{"taskOutputParameter": {"producerTask": "createpvc", "outputParameterKey": "name"},
                  "mountPath": "/data", "subPath": "in"}],
    "tolerations": [{"tolerationJson": {"runtimeValue": {"constant": [{"key": "gpu", "operator": "Exists"}]}}},
                    {"key": "spot", "operator": "Equal", "value": "yes", "tolerationSeconds": "30"}],
    "nodeSelector": {"labels": {"zone": "a"}},
    "podMetadata": {"labels": {"team": "a", "millstream.dev/run": "forged"}, "annotations": {"note": "x"}},
    "activeDeadlineSeconds": "60",
    "enabledSharedMemory": {"size": "1Gi"},
    "securityContext": {"runAsUser": "1000"},
}  # fmt: skip


def test_a_platform_document_becomes_parts_of_the_pod() -> None:
    inputs = Values({"pipelinechannel--which": "database", "pipelinechannel--createpvc-name": "claim-7"})
    made = pod(replace(ordered(["true"]), platform=resolved(DOCUMENT, Scope(inputs))), SITE)
    spec, container = made["spec"], made["spec"]["containers"][0]
    secret = {"name": "database", "key": "password"}
    assert {"name": "PASSWORD", "valueFrom": {"secretKeyRef": secret}} in container["env"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert volumes[mounts["/data"]["name"]]["persistentVolumeClaim"] == {"claimName": "claim-7"}
    assert mounts["/data"]["subPath"] == "in"
    assert volumes[mounts["/etc/settings"]["name"]]["configMap"] == {"name": "settings", "optional": True}
    assert volumes[mounts["/dev/shm"]["name"]]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert spec["tolerations"] == [
        {"key": "gpu", "operator": "Exists"},
        {"key": "spot", "operator": "Equal", "value": "yes", "tolerationSeconds": 30},
    ]
    assert (spec["nodeSelector"], spec["activeDeadlineSeconds"]) == ({"zone": "a"}, 60)
    assert container["securityContext"] == {"runAsUser": 1000}
    labels = made["metadata"]["labels"]
    assert (labels["team"], labels["millstream.dev/run"]) == ("a", "11111111-2222-3333-4444-555555555555")


def test_a_platform_document_that_names_no_input_says_which_it_wants() -> None:
    with pytest.raises(PlaceholderError, match="secretAsEnv wants the input 'pipelinechannel--which'"):
        resolved(DOCUMENT, Scope(Values({"a": 1})))


def test_a_pods_name_is_the_attempts_own_and_fits_a_cluster() -> None:
    name = pod_name("11111111-2222", "Über lange Namen " * 9, "root/x", 1)
    assert len(name) <= 63 and name == name.lower() and name[0].isalnum()
    others = {pod_name("r", "a", path, attempt) for path in ("root/a", "root/b/a") for attempt in (1, 2)}
    assert len(others) == 4
    assert pod_name("r", "a", "root/a", 1) == pod_name("r", "a", "root/a", 1)


def test_a_pod_bears_no_key_of_the_bucket_and_its_token_key_is_not_to_be_read_off_it() -> None:
    made = pod(ordered(["true"]), SITE)
    [told] = [each for each in made["spec"]["containers"][0]["env"] if each["name"] == "MILLSTREAM_STEP_KEY"]
    assert "value" not in told
    assert "AWS" not in str(made)
    keys = {obj["data"]["key"] for space in ("a", "b") for obj in namespace_objects(space, SITE, b"s") if "data" in obj}
    assert len(keys) == 2, "one namespace's key opens nothing in another"


def test_the_workspace_of_a_run_is_mounted_by_its_steps() -> None:
    claim = workspace({"workspace": {"size": "1Gi"}}, "r-1", "team")
    made = pod(replace(ordered(["true"]), workspace=claim), SITE)
    assert {"name": "kfp-workspace", "mountPath": "/kfp-workspace"} in made["spec"]["containers"][0]["volumeMounts"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert workspace({}, "r-1", "team") == {}


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("{{$.inputs.parameters['n']}}", ["3"]),
        ("--n={{$.inputs.parameters['n']}}", ["--n=3"]),
        ("""{"Concat": ["a=", "{{$.inputs.parameters['s']}}"]}""", ["a={{$.inputs.parameters['n']}}"]),
        ("""{"IfPresent": {"InputName": "n", "Then": ["--n", "{{$.inputs.parameters['n']}}"]}}""", ["--n", "3"]),
        ("""{"IfPresent": {"InputName": "absent", "Then": ["--n"]}}""", []),
        ('{"a": 1}', ['{"a": 1}']),
        ("{{$.pipeline_job_name}}", ["demo"]),
    ],
)
def test_placeholders_are_resolved_once_and_never_in_what_a_value_brings_along(word: str, words: list[str]) -> None:
    inputs = Values({"n": 3, "s": "{{$.inputs.parameters['n']}}"})
    assert Scope(inputs, {"pipeline_job_name": "demo"}).words(word) == words


def test_a_placeholder_for_nothing_says_what_there_is() -> None:
    with pytest.raises(PlaceholderError, match=r"there is no 'x'; there is n"):
        Scope(Values({"n": 3})).resolve("{{$.inputs.parameters['x']}}")


def test_a_step_is_as_the_restricted_standard_asks_for_where_the_place_wants_that() -> None:
    site = replace(SITE, restricted=True, run_as={"runAsUser": 65532, "runAsGroup": 65532})
    order = ordered(["true"])
    root = replace(order, platform={"securityContext": {"runAsUser": "0"}})
    for each in (pod(order, site)["spec"], pod(root, site)["spec"]):
        [container] = each["containers"]
        both = {**each["securityContext"], **container["securityContext"]}
        assert (both["runAsNonRoot"], both["runAsUser"], both["runAsGroup"]) == (True, 65532, 65532)
        assert each["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert each["securityContext"]["fsGroup"] == 65532, "it can write what pods share"
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "name"}
        assert all(set(volume) <= allowed for volume in each["volumes"])
    plain = pod(order, SITE)["spec"]
    assert "securityContext" not in plain and "securityContext" not in plain["containers"][0], "nothing on a laptop"


def test_every_name_has_a_place_of_its_own_in_the_bucket_and_no_place_is_too_long() -> None:
    names = ["train", "größe", "grüße", "..", "_..", "a b", "a_b", "x" * 250, "x" * 250 + "y"]
    roots = [attempt_root("s3://b/run", f"root/{name}", 1) for name in names]
    assert len({root.casefold() for root in roots}) == len(names)
    assert roots[0] == "s3://b/run/train/1"
    for root in roots:
        segment = root.split("/")[4]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,230}", segment) and segment.strip(".")


@pytest.mark.parametrize("other", [False, True], ids=["this interpreter", "one of another version"])
def test_the_launcher_begins_compiled_where_that_can_be_and_from_its_source_anywhere_else(tmp_path, other) -> None:
    packed = tmp_path / "launcher.pyz"
    packed.write_bytes(launcher())
    if other:
        with zipfile.ZipFile(packed) as whole, zipfile.ZipFile(tmp_path / "other.pyz", "w") as made:
            for each in (each for each in whole.namelist() if not each.endswith(".pyc")):
                made.writestr(each, b"another" if each == COMPILED else whole.read(each))
        packed = tmp_path / "other.pyz"
    done = subprocess.run([sys.executable, "-v", packed], capture_output=True, text=True, env={"PATH": "/bin"})
    assert "KeyError: 'MILLSTREAM_STEP_URL'" in done.stderr  # it is there, and asks for its first variable
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("import 'millstream_launcher.door'")]
    assert ("Compiled" in told) != other


@pytest.mark.parametrize("same", [True, False], ids=["the zip's sources", "others"])
def test_what_was_imported_ahead_is_run_by_a_zip_of_the_same_sources_alone(tmp_path, same) -> None:
    packed = tmp_path / "launcher.pyz"
    packed.write_bytes(launcher())
    program = f"""if True:
        import runpy, sys
        import services.pipelines.adapters.ahead
        from millstream_launcher import door
        sys.modules["millstream_launcher"].SOURCES += {"" if same else "x"!r}
        try:
            runpy.run_path({str(packed)!r}, run_name="__main__")
        except KeyError as error:
            print(error, sys.modules["millstream_launcher.door"] is door)
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PATH": "/bin"})
    assert done.stdout == f"'MILLSTREAM_STEP_URL' {same}\n", done.stderr
