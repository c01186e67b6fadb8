"""What a container sees of the machine, in each kind of view that can be had here."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.node.ports import HostAlias, Mount
from services.node.runtime import requests, sandbox
from services.node.runtime.local import RuntimeConfig
from tests.node.runtime.conftest import LIGHT, Bench, bench_in

FOREIGN = "pytorch/pytorch:2"


def _modes(scratch: Path) -> list[str]:
    best = sandbox.probe(str(scratch))
    return {"mount": ["mount", "user"], "user": ["user"], None: []}[best]


@pytest.fixture(params=["mount", "user"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param not in _modes(tmp_path / "probe"):
        pytest.skip(f"no {request.param} namespaces here")
    config = RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT, mode=request.param)
    async with bench_in(tmp_path / "home", config) as bench:
        yield bench


@pytest.fixture
async def rewriting(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_in(
        tmp_path / "home", RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT, mode="rewrite")
    ) as bench:
        yield bench


@pytest.mark.parametrize(
    "path", ["/workspace", "/var/run/secrets/token", "/opt/deep/er/data", "/etc/mine", "/tmp/data"]
)
async def test_a_volume_is_at_its_mount_path_for_any_program(bench: Bench, tmp_path: Path, path: str) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "in").write_text("given")
    mounts = (Mount(str(tmp_path / "volume"), path),)
    ended, text = await bench.run("sh", "-c", f"cat {path}/in; echo made > {path}/out", image=FOREIGN, mounts=mounts)
    assert (ended.exit_code, text) == (0, "given")
    assert (tmp_path / "volume" / "out").read_text() == "made\n"
    assert path == "/tmp/data" or not Path(path).exists()  # noqa: ASYNC240


async def test_a_file_may_be_mounted_over_a_file_and_read_only_is_kept(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("mine")
    mounts = (Mount(str(tmp_path / "one"), "/etc/os-release", read_only=True), Mount(str(tmp_path / "one"), "/x/new"))
    command = "cat /etc/os-release /x/new; echo no > /etc/os-release || echo refused; ls /etc/passwd"
    _, text = await bench.run("sh", "-c", command, mounts=mounts)
    assert "minemine" in text
    assert "refused" in text
    assert "/etc/passwd" in text.splitlines()  # the two streams of a container keep no common order
    assert (tmp_path / "one").read_text() == "mine"


async def test_names_resolve_and_follow_an_update(bench: Bench) -> None:
    pod = await bench.pod(hosts=(HostAlias("127.9.0.1", ("job-node-0-0.job", "job-node-0-0")),))
    script = "getent hosts job-node-0-0.job; echo asked; until getent hosts later; do sleep 0.02; done"
    spec = await bench.start("sh", "-c", script, pod=pod)
    await bench.logged(spec, "asked")
    assert "127.9.0.1" in bench.log(spec)
    await bench.runtime.update_hosts(pod, [HostAlias("127.9.0.2", ("later",))])
    assert (await bench.end(spec)).exit_code == 0
    assert "127.9.0.2" in bench.log(spec)


async def test_the_platform_is_read_only_and_its_home_hidden_from_users(bench: Bench) -> None:
    home = bench.runtime.paths.home
    (home / "secret").write_text("s")
    root = Path(__file__).parents[3]
    command = f"cat {home}/secret; ls -A {home}; touch {sys.prefix}/x; touch {root}/x; touch {sys.base_prefix}/x; pwd"
    spec = await bench.start("sh", "-c", command, image=FOREIGN)
    await bench.end(spec)
    text = bench.log(spec)
    assert text.count("Read-only file system") == 3
    assert "No such file" in text
    assert not any((Path(folder) / "x").exists() for folder in (sys.prefix, sys.base_prefix, root))
    assert bench.log(spec, "stdout").splitlines() == [
        "node",
        str(bench.runtime.pod_path(spec.pod_uid) / "work-main"),
    ]


async def test_a_pod_is_its_own_host_and_knows_its_address(bench: Bench) -> None:
    machine = os.uname().nodename
    spec = await bench.start("sh", "-c", "hostname; echo $HOSTNAME; getent hosts $(hostname); sleep 99", image=FOREIGN)
    await bench.logged(spec, "127.0.0.1")
    assert bench.log(spec).split() == [spec.pod_uid, spec.pod_uid, "127.0.0.1", spec.pod_uid]
    assert (await bench.runtime.exec(spec.pod_uid, "main", ["hostname"], 5)).output.strip() == spec.pod_uid
    assert os.uname().nodename == machine


async def test_a_trusted_pod_sees_the_home(bench: Bench) -> None:
    home = bench.runtime.paths.home
    (home / "open").write_text("seen")
    _, text = await bench.run("sh", "-c", f"cat {home}/open; touch {home}/made", trusted=True)
    assert text == "seen"
    assert (home / "made").exists()


async def test_a_home_within_the_platforms_folder_stays_writable_for_its_pods(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ROOT", tmp_path)
    command = f"touch {bench.runtime.paths.home}/made work; touch {tmp_path}/x"
    _, text = await bench.run("sh", "-c", command, trusted=True)
    assert text.endswith("Read-only file system")
    assert (bench.runtime.paths.home / "made").exists()
    spec = await bench.start(
        "sh", "-c", f"touch work; touch {tmp_path}/x; ls {bench.runtime.paths.home}", image=FOREIGN
    )
    await bench.end(spec)
    assert bench.log(spec, "stdout") == "node"
    assert bench.log(spec, "stderr").endswith("Read-only file system")
    assert not (tmp_path / "x").exists()


async def test_two_containers_have_their_own_tmp(bench: Bench) -> None:
    await bench.run("sh", "-c", "echo x > /tmp/mine")
    _, text = await bench.run("sh", "-c", "ls /tmp/mine")
    assert "No such file" in text


async def test_a_forked_python_container_has_the_same_view(bench: Bench, tmp_path: Path) -> None:
    pod = await bench.pod(hosts=(HostAlias("127.9.0.1", ("peer",)),))
    mounts = (Mount(str(tmp_path / "volume"), "/data"),)
    code = "import os, socket; print(socket.gethostbyname('peer'), os.getcwd(), os.getuid()); open('/data/o', 'w')"
    ended, text = await bench.run("python", "-c", code, pod=pod, mounts=mounts, cwd="/data", image=FOREIGN)
    assert (ended.exit_code, text) == (0, f"127.9.0.1 /data {os.getuid()}")
    assert (tmp_path / "volume" / "o").exists()


async def test_without_namespaces_mount_paths_are_rewritten_as_whole_paths(rewriting: Bench, tmp_path: Path) -> None:
    mounts = (Mount(str(tmp_path / "volume"), "/data"), Mount(str(tmp_path / "deep"), "/data/deep"))
    command = "echo a > /data/a; echo b > /data/deep/b; echo $WHERE /database /my/data $LIST; pwd"
    env = {"WHERE": "/data", "LIST": "/usr:/data/deep:file:///data/x"}
    _, text = await rewriting.run("sh", "-c", command, mounts=mounts, env=env, cwd="/data")
    volume, deep = tmp_path / "volume", tmp_path / "deep"
    assert text.splitlines() == [f"{volume} /database /my/data /usr:{deep}:file://{volume}/x", str(volume)]
    assert (volume / "a").exists()
    assert (deep / "b").exists()


@pytest.mark.parametrize("argv", [["python"], ["env", "python"]], ids=["forked", "cold"])
async def test_without_namespaces_python_resolves_the_pods_names(rewriting: Bench, argv: list[str]) -> None:
    pod = await rewriting.pod(hosts=(HostAlias("127.9.0.1", ("peer", "peer.ns.svc.cluster.local")),))
    code = "import socket; print(socket.gethostbyname('peer'), socket.getaddrinfo('PEER', 80)[0][4][0])"
    ended, text = await rewriting.run(*argv, "-c", code, pod=pod, env={"PET_MASTER_ADDR": "peer"})
    assert (ended.exit_code, text) == (0, "127.9.0.1 127.9.0.1")
