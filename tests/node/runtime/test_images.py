"""Foreign images: an environment of the pod's own over the platform's packages, which nothing in a pod can change."""

from __future__ import annotations

import asyncio
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.node.ports import Mount
from services.node.runtime import images
from services.node.runtime.local import RuntimeConfig
from services.node.runtime.paths import HomePaths
from tests.node.runtime.conftest import Bench, bench_in

FOREIGN = "python:3.11"
SITE = Path(sys.prefix) / images.SITE


@pytest.fixture(params=[None, "rewrite"], ids=["namespaces", "rewrite"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    preload = {"platform": ("fastapi",)}
    config = RuntimeConfig(warm_platform=False, ml="first-use", mode=request.param, preload=preload)
    async with bench_in(tmp_path / "home", config) as bench:
        yield bench


def _wheel(folder: Path, name: str, version: str) -> Path:
    """A pure wheel with a module, and a console script, made by hand: nothing is downloaded."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\ndef main(): print('script', VERSION)\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name}-run = {name}:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _contents() -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in SITE.iterdir() if path.name != "__pycache__"}


@pytest.mark.parametrize("flag", ["", "--user"])
async def test_pip_in_a_pod_installs_into_that_pod_alone(bench: Bench, tmp_path: Path, flag: str) -> None:
    _wheel(tmp_path / "wheels", "onlyhere", "1.5")
    _wheel(tmp_path / "wheels", "iniconfig", "99.0")  # the platform has an older one
    before = _contents()
    pip = f"pip install -q --no-index --no-warn-conflicts --find-links /wheels {flag}"
    script = (
        f"{pip} onlyhere iniconfig==99.0 && python -c 'import onlyhere, iniconfig, numpy; print(iniconfig.VERSION)'"
    )
    script += " && onlyhere-run"
    pod = await bench.pod()
    mounts = (Mount(str(tmp_path / "wheels"), "/wheels"),)
    spec = await bench.start("bash", "-ec", script, pod=pod, image=FOREIGN, mounts=mounts)
    ended = await bench.end(spec)
    assert (ended.exit_code, bench.log(spec, "stdout").splitlines()[:2]) == (0, ["99.0", "script 1.5"]), bench.log(spec)
    _, text = await bench.run(
        "python", "-c", "import onlyhere; print(onlyhere.VERSION)", pod=pod, image=FOREIGN, name="b"
    )
    assert text == "1.5"
    ended, text = await bench.run("python", "-c", "import onlyhere", image=FOREIGN)
    assert "ModuleNotFoundError" in text
    assert _contents() == before


async def test_the_pods_programs_come_first_and_share_one_interpreter(bench: Bench) -> None:
    script = (
        "command -v python python3 pip torchrun; python -c 'import sys; print(sys.prefix)'; torchrun --help | head -1"
    )
    spec = await bench.start("bash", "-c", script, image=FOREIGN)
    await bench.end(spec)
    own = bench.runtime.pod_path(spec.pod_uid) / "env"
    shared = bench.runtime.paths.images / f"programs-{images.VERSION}"
    lines = bench.log(spec, "stdout").splitlines()
    assert lines[:5] == [
        *(str(own / "bin" / name) for name in ("python", "python3", "pip")),
        f"{shared}/torchrun",
        str(own),
    ]
    assert lines[5].startswith("usage: torchrun")


async def test_a_fork_reports_the_pods_environment_as_its_own(bench: Bench) -> None:
    code = (
        "import sys, site, onnx, fastapi; print(sys.prefix, sys.executable, site.getsitepackages()[0], sys.path[-3:])"
    )
    pod = await bench.pod()
    warm = (await bench.run("python", "-c", code, pod=pod, image=FOREIGN))[1]
    cold = (await bench.run("env", "python", "-c", code, pod=pod, image=FOREIGN, name="b"))[1]
    assert str(bench.runtime.pod_path(pod) / "env" / "bin" / "python") in warm
    assert warm.split(" [")[0] == cold.split(" [")[0]


def test_a_layer_is_made_in_milliseconds_and_made_again_is_the_same(tmp_path: Path) -> None:
    paths = HomePaths(tmp_path)
    paths.make()
    first = images.for_pod(paths, "u", FOREIGN)
    assert images.for_pod(paths, "u", FOREIGN).python == first.python
    assert images.untouched([str(site) for site in first.sites])
    (first.sites[0] / "new.py").write_text("")
    assert not images.untouched([str(site) for site in first.sites])


async def test_pods_share_what_their_layers_begin_with_and_none_can_change_it_for_others(tmp_path: Path) -> None:
    async with bench_in(tmp_path / "home") as bench:
        (mine, theirs) = [await bench.pod(), await bench.pod()]
        spoil = "cd $VIRTUAL_ENV; for f in bin/pip pyvenv.cfg lib/*/*/*.pth; do echo spoilt > $f || echo kept $f; done"
        spoil += "; rm bin/pip3; echo 'echo own' > bin/pip3; chmod +x bin/pip3; pip3"
        ended, text = await bench.run("sh", "-c", spoil, pod=mine, image=FOREIGN)
        assert (ended.exit_code, text.count("kept"), text.splitlines()[-1]) == (0, 3, "own"), text
        _, text = await bench.run("sh", "-c", "pip3 --version; pip --version", pod=theirs, image=FOREIGN)
        assert [line.split()[0] for line in text.splitlines()] == ["pip", "pip"], text
        files = [bench.runtime.pod_path(uid) / "env" / "bin" / "pip" for uid in (mine, theirs)]
        assert files[0].lstat().st_ino == files[1].lstat().st_ino


@pytest.mark.parametrize(
    ("image", "own"),
    [
        *[
            (name, True)
            for name in ("millstream/trainer", "millstream/trainer:1", "nats:2.15", "docker.io/library/caddy")
        ],
        *[(name, False) for name in ("python:3.11", "evil/nats", "pytorch/pytorch", "evil.io/millstream/trainer", "")],
        *[(name, False) for name in ("millstream/torch", "millstream/torch:2", "millstream/python:3")],
    ],
)
def test_only_the_platforms_own_images_get_its_environment(image: str, own: bool) -> None:
    assert images.is_platform(image) is own


async def test_a_container_chooses_its_fork_server(tmp_path: Path) -> None:
    preload = {"platform": ("xml.dom",), "ml": ("xml.sax",), "python": ("xml.etree",)}
    code = "import sys; print(*({'xml.dom', 'xml.sax', 'xml.etree'} & set(sys.modules)))"
    async with bench_in(tmp_path / "home", RuntimeConfig(warm_platform=False, preload=preload)) as bench:
        found = [
            (await bench.run("python", "-c", code, image=image, env={"MILLSTREAM_WARM": hint} if hint else {}))[1]
            for image, hint in (
                ("python:3", ""),
                ("pytorch", ""),
                ("python:3", ""),
                ("millstream/x", "ml"),
                ("python:3", "python"),
                ("torch", "none"),
            )
        ]
    # an unpromising image takes the ml server once it is there, and does not wait for it before
    assert found == ["xml.dom", "xml.sax", "xml.sax", "xml.sax", "xml.etree", ""]


async def test_two_containers_reduce_over_gloo(bench: Bench) -> None:
    code = (
        "import torch, torch.distributed as d, os\n"
        "d.init_process_group('gloo', init_method='tcp://127.0.0.1:' + os.environ['PORT'],"
        " rank=int(os.environ['R']), world_size=2)\n"
        "t = torch.ones(1000) * (1 + d.get_rank()); d.all_reduce(t)\n"
        "m = torch.randn(256, 256) @ torch.randn(256, 256); print(t.sum().item(), torch.get_num_threads())\n"
        "from torch.utils.data import DataLoader\n"
        "print(sum(x.sum().item() for x in DataLoader(list(range(8)), num_workers=2)))\n"
        "d.destroy_process_group()\n"
    )
    env = {"PORT": str(_free_port()), "OMP_NUM_THREADS": "1"}
    code = f"import sys; assert 'torch' in sys.modules\n{code}"
    specs = [
        await bench.start("python", "-c", code, image="pytorch/pytorch", env={**env, "R": str(rank)})
        for rank in range(2)
    ]
    ends = await asyncio.gather(*(bench.end(spec) for spec in specs))
    assert [(end.exit_code, bench.log(spec, "stdout").split()) for end, spec in zip(ends, specs, strict=True)] == [
        (0, ["3000.0", "1", "28"])
    ] * 2, bench.log(specs[0])


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
