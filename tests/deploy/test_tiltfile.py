"""The Tiltfile, evaluated with Tilt's documented builtins: every service is built, followed, reached and in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import starlark
import yaml

from tests.deploy.tilt import MANUAL, ROOT, Tilt, TiltError

SERVICES = sorted(
    path.parent.name
    for path in ROOT.glob("services/*/service.yaml")
    if (ROOT / "deploy" / "images" / path.parent.name).is_dir()
)
ENGINES = {"nats", "postgres", "s3", "bootstrap"}
BUTTONS = {"run the main job", "tail events", "replay dead letters", "workload images"}
APP = "/opt/millstream/app/"


@pytest.fixture(scope="module")
def tilt() -> Iterator[Tilt]:
    yield Tilt().run()


def deployment(tilt: Tilt, name: str) -> dict[str, object]:
    [found] = [d for d in tilt.documents if d["kind"] == "Deployment" and d["metadata"]["name"] == name]
    return dict(found["spec"]["template"]["spec"])


def test_every_service_has_an_image_a_port_of_its_own_a_label_and_waits_for_the_engines(tilt: Tilt) -> None:
    assert len(SERVICES) >= 5
    for name in SERVICES:
        built, resource = tilt.images[f"millstream/{name}"], tilt.resources[name]
        assert built["dockerfile"] == "deploy/images/Dockerfile" and built["build_args"]["IMAGE"] == name
        assert resource["labels"] == ["services"] and set(resource["deps"]) >= ENGINES
        manifest = yaml.safe_load((ROOT / "services" / name / "service.yaml").read_text())
        assert [port["container"] for port in resource["ports"]] == [manifest["port"]]
    local = [port["local"] for resource in tilt.resources.values() for port in resource["ports"]]
    assert len(local) == len(set(local)) == len(SERVICES) + 3


def test_what_is_synced_exists_and_holds_the_contracts_the_libs_and_the_service(tilt: Tilt) -> None:
    for name in SERVICES:
        built = tilt.images[f"millstream/{name}"]
        synced = {step["local"]: step["remote"] for step in built["live_update"] if step["step"] == "sync"}
        assert {"contracts", "libs", f"services/{name}"} <= synced.keys()
        assert all(remote == APP + local and (ROOT / local).exists() for local, remote in synced.items())
        for path in [f for step in built["live_update"] for f in step.get("files", [])]:
            assert (ROOT / path).exists() and _within(path, built["only"]), f"Tilt does not watch {path}"
        assert all(_within(local, built["only"]) for local in synced), "a synced file outside of the build's context"


def test_everything_that_an_image_is_made_of_is_in_its_context(tilt: Tilt) -> None:
    for ref, built in tilt.images.items():
        folder = ROOT / "deploy" / "images" / ref.removeprefix("millstream/")
        for path in (folder / "files.txt").read_text().split():
            assert _within(path, built["only"]), f"{ref} would be built without {path}"
        assert "requirements.lock" in built["only"]
        assert all((ROOT / path).exists() for path in built["only"])


def _within(path: str, only: list[str]) -> bool:
    return any(path == one or path.startswith(one + "/") for one in only)


def test_every_image_of_the_platform_in_the_overlay_is_built(tilt: Tilt) -> None:
    text = yaml.safe_dump_all(tilt.documents)
    named = {word.split(":")[0] for word in text.split() if word.startswith("millstream/")}
    assert named == set(tilt.images)


def test_resources_depend_on_what_there_is_and_on_nothing_in_a_circle(tilt: Tilt) -> None:
    deps = {name: resource["deps"] for name, resource in (tilt.resources | tilt.locals).items()}
    for resource in tilt.resources.values():
        assert not resource["workload"] or resource["workload"] in tilt.names.values()
    done: set[str] = set()
    while ready := [name for name, wanted in deps.items() if name not in done and set(wanted) <= done]:
        done |= set(ready)
    assert done == set(deps), f"never ready: {set(deps) - done}"
    assert "settings" in deps["bootstrap"] and "bootstrap" in deps["nats"]


def test_every_object_is_in_exactly_one_resource(tilt: Tilt) -> None:
    chosen = [selector for resource in tilt.resources.values() for selector in resource["objects"]]
    for document in tilt.documents:
        kind, name = document["kind"], document["metadata"]["name"]
        if kind in ("Deployment", "StatefulSet", "Job", "CronJob", "Service"):
            continue  # Tilt groups these by itself
        namespace = document["metadata"].get("namespace", "default")
        assert len({f"{name}:{kind}:{namespace}", f"{name}:{kind}"} & set(chosen)) == 1, f"{kind} {name}"
    assert len(chosen) == len(set(chosen))


def test_a_service_runs_under_the_reloader_in_a_writable_copy_of_its_code_and_stays_locked_down(tilt: Tilt) -> None:
    for name in SERVICES:
        spec = deployment(tilt, name)
        [main] = spec["containers"]  # type: ignore[misc]
        assert main["command"][:4] == ["python", "/opt/millstream/reload/reload.py", APP.rstrip("/"), "--"]
        assert main["command"][4:] == ["python", "-m", f"services.{name}"]
        assert main["securityContext"]["readOnlyRootFilesystem"] is True
        assert spec["securityContext"]["runAsNonRoot"] is True  # type: ignore[index]
        fill = spec["initContainers"][-1]  # type: ignore[index]
        assert fill["image"] == main["image"] and fill["securityContext"] == main["securityContext"]
        mounted = {mount["mountPath"]: mount["name"] for mount in main["volumeMounts"]}
        assert mounted[APP.rstrip("/")] == fill["volumeMounts"][0]["name"] == "code"
        volumes = {volume["name"] for volume in spec["volumes"]}  # type: ignore[attr-defined]
        assert set(mounted.values()) <= volumes
        before = [one["command"][:4] for one in spec["initContainers"][:-1]]  # type: ignore[index]
        assert before == [["python", "-m", f"services.{name}", "migrate"]] * ("store" in _needs(name))


def _needs(name: str) -> list[str]:
    return list(yaml.safe_load((ROOT / "services" / name / "service.yaml").read_text())["needs"])


def test_buttons_wait_to_be_pressed_and_run_what_there_is(tilt: Tilt) -> None:
    assert set(tilt.locals) == BUTTONS
    for button in tilt.locals.values():
        assert button["trigger_mode"] == MANUAL and button["auto_init"] is False
        for module in [word for word in button["cmd"].split() if word.startswith(("millstream.", "tests."))]:
            path = Path(module.replace(".", "/"))
            roots = (ROOT / path, ROOT / "sdk" / path)
            assert any(root.with_suffix(".py").exists() or (root / "__main__.py").exists() for root in roots), module


def test_named_services_are_the_only_ones_and_the_others_are_left_out_whole() -> None:
    tilt = Tilt(services=("trainer", "gateway")).run()
    assert {"millstream/trainer", "millstream/gateway"} == set(tilt.images) - {"millstream/tools"}
    assert not {"serving", "registry", "scheduler"} & tilt.resources.keys()
    left = {d["metadata"].get("labels", {}).get("app.kubernetes.io/name") for d in tilt.documents}
    assert not {"serving", "registry", "scheduler"} & left
    deps = {name for resource in (tilt.resources | tilt.locals).values() for name in resource["deps"]}
    assert deps <= tilt.resources.keys()


def test_with_prebuilt_images_the_others_run_from_them() -> None:
    tilt = Tilt(services=("trainer",), flags={"prebuilt": "registry.example/team/"}).run()
    assert set(tilt.images) == {"millstream/trainer", "millstream/tools"}
    assert {*SERVICES} <= tilt.resources.keys()
    [main] = deployment(tilt, "serving")["containers"]  # type: ignore[misc]
    assert main["image"].startswith("registry.example/team/serving:") and "reload" not in str(main["command"])


def test_a_service_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises((starlark.StarlarkError, TiltError), match="no service is called trianer"):
        Tilt(services=("trianer",)).run()


@pytest.mark.parametrize(
    ("context", "loads"),
    [("kind-dev", "kind load docker-image --name dev"), ("k3d-dev", "k3d image import -c dev"),
     ("minikube", "minikube image load")],
)  # fmt: skip
def test_workload_images_come_into_each_kind_of_cluster(context: str, loads: str) -> None:
    assert loads in Tilt(context=context).run().locals["workload images"]["cmd"]


def test_a_registry_takes_all_images_and_the_services_are_told() -> None:
    tilt = Tilt(flags={"registry": "registry.example/team", "context": "staging"}, context="staging").run()
    assert tilt.registry == "registry.example/team" and tilt.allowed == ["staging"]
    assert "PUSH=1" in tilt.locals["workload images"]["cmd"]
    [config] = [d for d in tilt.documents if d["metadata"]["name"] == "millstream-config"]
    assert config["data"]["MILLSTREAM_WORKLOAD_IMAGE_PREFIX"] == "registry.example/team/"


def test_a_keyword_that_tilt_does_not_know_fails(tmp_path: Path) -> None:
    """Which shows that the recorded builtins would notice."""
    (tmp_path / "Tiltfile").write_text('k8s_resource("nats", port_forward = 4222)\n')
    with pytest.raises(starlark.StarlarkError, match="port_forward"):
        Tilt().run(tmp_path / "Tiltfile")
