"""A manifest is read, or refused with the file, the field and what to write instead."""

from pathlib import Path

import pytest

from libs.service import manifest

TRAINER = """
name: trainer
owns: [trainjobs.trainer.kubeflow.org/v1alpha1]
says: [training.trainjob.created.v1]
hears: [training.trainjob.apply.v1]
needs: [store, bus, cluster]
creates: [jobs.batch/v1, services/v1]
routes: [/api/trainer/v1]
self_authenticated: ["POST /apis/trainer.kubeflow.org/v1alpha1/namespaces/{ns}/trainjobs/{name}/progress"]
"""


def test_a_manifest_tells_what_the_service_owns_and_creates() -> None:
    trainer = manifest.parse(TRAINER)
    assert trainer.port == 8080
    assert trainer.kinds == (manifest.ServedKind("trainjobs", "trainer.kubeflow.org", "v1alpha1"),)
    assert manifest.ServedKind.parse("services/v1").api_version == "v1"


def test_only_the_named_method_and_one_segment_per_brace_authenticate_themselves() -> None:
    trainer = manifest.parse(TRAINER)
    path = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs/digits/progress"
    assert trainer.authenticates_itself("POST", path)
    assert not trainer.authenticates_itself("GET", path)
    assert not trainer.authenticates_itself("POST", path.replace("digits", "digits/extra"))
    assert not trainer.authenticates_itself("POST", path + "/more")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("- just a list", "mapping"),
        ("name: Trainer", "name"),
        ("name: x\nowns: [TrainJob]", "owns"),
        ("name: x\nhears: [trained]", "hears"),
        ("name: x\nneeds: [oracle]", "needs"),
        ("name: x\nroutes: [api]", "routes"),
        ("name: x\nroutes: [/api]\npage: /apix", "page"),
        ("name: x\ncolour: red", "colour"),
        ("name: x\nself_authenticated: [progress]", "self_authenticated"),
        ("name: [", "YAML"),
    ],
)
def test_a_wrong_manifest_is_refused_by_field(text: str, field: str) -> None:
    with pytest.raises(manifest.ManifestError, match=field):
        manifest.parse(text)


def test_two_services_may_not_own_one_kind(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "service.yaml").write_text(f"name: {name}\nowns: [toys.example.org/v1]\n")
    with pytest.raises(manifest.ManifestError, match=r"toys\.example\.org/v1 is claimed by both one and two"):
        manifest.load_all(tmp_path)


def test_a_missing_manifest_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(manifest.ManifestError, match=r"service\.yaml"):
        manifest.load(tmp_path)
