"""The suite's own decisions: what it is told, what it applies, leaves out and says about it, what it reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_suite.kubectl import Kubectl
from tests.cluster_suite.manifests import images, names, parsed, render, servable
from tests.cluster_suite.options import STEPS, BadOptions, options_of
from tests.cluster_suite.preflight import MARK, Facts, default_storage_class, marked, notes, unwelcome
from tests.cluster_suite.report import Report
from tests.cluster_suite.waiting import is_ready, start_times


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "kubeconfig").write_text("{}")
    return {"KUBECONFIG": str(tmp_path / "kubeconfig"), "IMAGE_PREFIX": "r/team/", "BASE_IMAGE": "python:3.11-slim"}


def test_the_environment_is_read_and_what_is_missing_is_named(environ: dict[str, str]) -> None:
    options = options_of(environ)
    assert (options.overlay, options.steps, options.jobs) == ("dev", STEPS, 20)
    assert not (options.keep or options.build or options.s3)
    with pytest.raises(BadOptions, match="KUBECONFIG"):
        options_of({})
    with pytest.raises(BadOptions, match="STEPS names instal;"):
        options_of({**environ, "STEPS": "preflight instal"})
    with pytest.raises(BadOptions, match="BASE_IMAGE"):
        options_of({**environ, "BASE_IMAGE": "", "BUILD": "1"})


def test_the_overlay_is_rendered_with_the_pushed_images_for_services_and_workloads(environ: dict[str, str]) -> None:
    options = options_of(environ)
    kubectl = Kubectl(options.kubectl, options.kubeconfig)
    documents = render(kubectl, options.overlay_path, "r:5000/team/", "7")
    named = images(documents)
    assert {"r:5000/team/trainer:7", "r:5000/team/gateway:7", "r:5000/team/tools:7"} <= named
    assert not [name for name in names(documents) if name.startswith("millstream/")]
    [config] = [d["data"] for d in documents if d["metadata"]["name"] == "millstream-config"]
    assert config["MILLSTREAM_WORKLOAD_IMAGE_PREFIX"] == "r:5000/team/"
    assert config["MILLSTREAM_WORKLOAD_IMAGE_TAG"] == "7"


def test_without_a_tag_images_keep_the_overlays_and_engines_come_from_a_mirror(environ: dict[str, str]) -> None:
    options = options_of({**environ, "MIRROR": "r:5000/mirror/"})
    kubectl = Kubectl(options.kubectl, options.kubeconfig)
    before = images(render(kubectl, options.overlay_path, "", ""))
    after = images(render(kubectl, options.overlay_path, options.image_prefix, "", options.mirror))
    [tag] = {image.rpartition(":")[2] for image in before if image.startswith("millstream/")}
    assert f"r/team/trainer:{tag}" in after and len(after) == len(before)
    assert {"nats", "rclone"} <= {
        name.removeprefix("r:5000/mirror/") for name in names([{"spec": list(map(_as, after))}])
    }


def _as(image: str) -> dict[str, str]:
    return {"name": "x", "image": image}


def test_kinds_that_are_not_served_are_left_out_with_what_is_lost() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n"
    text += "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n---\n"
    text += "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: c}\n"
    rendered = servable(parsed(text), lambda version, kind: kind == "Service")
    assert [document["kind"] for document in rendered.documents] == ["Service"]
    budget, thing = rendered.left_out
    assert budget == "PodDisruptionBudget (policy/v1; b): a drained node may end all replicas of a service at once"
    assert thing.startswith("Thing (example.org/v1; c):")


def workload(kind: str, status: dict[str, Any], replicas: int = 2, generation: int = 3) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": generation}, "spec": {"replicas": replicas}, "status": status}


def test_a_workload_is_ready_when_its_last_generation_is() -> None:
    well = {"observedGeneration": 3, "readyReplicas": 2, "updatedReplicas": 2}
    assert is_ready(workload("Deployment", well))
    assert not is_ready(workload("Deployment", {**well, "observedGeneration": 2}))
    assert not is_ready(workload("Deployment", {**well, "updatedReplicas": 1}))
    assert not is_ready(workload("StatefulSet", {**well, "readyReplicas": 1}))
    assert is_ready(workload("Job", {"conditions": [{"type": "Complete", "status": "True"}]}))
    assert not is_ready(workload("Job", {"conditions": [{"type": "Failed", "status": "True"}]}))


def test_the_start_of_a_pod_is_from_its_creation_to_its_readiness() -> None:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T10:00:07Z"}
    pod = {"metadata": {"name": "a", "creationTimestamp": "2026-11-22T10:00:00Z"}, "status": {"conditions": [ready]}}
    assert start_times([pod, {"metadata": {"name": "b"}, "status": {}}]) == {"a": 7.0}


def test_a_cluster_without_this_and_that_is_told_what_it_means() -> None:
    bare = Facts("v1.36.0", frozenset({"apps", "storage.k8s.io"}), False, False, False, False, False, None)
    told = "\n".join(notes(bare))
    for words in ("v1.36.0", "aggregation layer", "RBAC", "Gateway API", "cert-manager", "metrics", "StorageClass"):
        assert words in told
    marked = {"metadata": {"name": "x", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
    assert default_storage_class([{"metadata": {"name": "y"}}, marked]) == "x"


def test_the_report_shows_every_row_and_is_written_for_people_and_programs(tmp_path: Path) -> None:
    report = Report()
    report.add("install", "passed", 12.0, "all ready")
    report.add("api", "skipped", words="no aggregation layer")
    assert not report.failed
    report.add("kill", "failed", 3.0, "lost a job\nits pod says: no")
    report.figure("install (s)", 12.3456)
    report.write(tmp_path / "report.txt")
    text = (tmp_path / "report.txt").read_text()
    for words in ("passed   install", "no aggregation layer", "its pod says: no", "1 passed, 1 failed, 1 skipped"):
        assert words in text
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["figures"] == {"install (s)": 12.346} and report.failed


def test_a_platform_in_use_is_neither_killed_nor_removed_for_a_test() -> None:
    mine = marked({"kind": "Namespace", "metadata": {"name": "millstream-system"}})
    theirs = {"kind": "Namespace", "metadata": {"name": "millstream-system", "labels": {"team": "ml"}}}
    assert mine["metadata"]["labels"] == {MARK: "true"} and marked(deploy := {**theirs, "kind": "Deployment"}) is deploy
    assert unwelcome("v1.36.0", "dev", STEPS, None) is None
    assert unwelcome("v1.36.0", "dev", STEPS, mine) is None
    assert "not from this suite" in (unwelcome("v1.36.0", "dev", STEPS, theirs) or "")
    assert unwelcome("v1.36.0", "dev", ("preflight", "api"), theirs) is None
    assert "a laptop's platform" in (unwelcome("v1.34.0+millstream", "dev", STEPS, None) or "")
    assert unwelcome("v1.34.0+millstream", "laptop", STEPS, theirs) is None
