"""Which Python environment an image name stands for; it must not assume that anything can be downloaded.

A pod of a foreign image gets a layer of its own over the platform's packages, made without ensurepip: an interpreter
link, pyvenv.cfg and a path file. pip run there sees the platform's packages as outside of it and never touches them.
Between the two lies what the image's name promises (`recipes`), made before the pod starts and shared by all its kind.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from services.node.runtime.environments import Environments
from services.node.runtime.paths import RECIPES, SYSTEM_PATH, HomePaths
from services.node.runtime.pyargs import python_script
from services.node.runtime.recipes import recipe_of

PLATFORM_IMAGES = ("millstream/*", "nats", "nats:*", "caddy", "caddy:*", "rclone/*", "rclone", "rclone:*")
USERS_IMAGES = ("millstream/torch", "millstream/torch:*", "millstream/python", "millstream/python:*")
"""Made by the platform for users' code, which may install into its environment: foreign, like any other of theirs. So
are those with a recipe."""
ROOT = Path(__file__).resolve().parents[3]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/{VERSION}/site-packages"
OWN_FILE = "millstream_platform.pth"
_SCRIPT = '#!/bin/sh\nexec "$(dirname "$0")/python" {} "$@"\n'


def is_platform(image: str, recipes: Path = RECIPES) -> bool:
    """Registry host and digest do not matter: `docker.io/library/nats:2` is nats."""
    name = image.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
    own = any(fnmatch(name, pattern) for pattern in PLATFORM_IMAGES)
    return own and not any(fnmatch(name, pattern) for pattern in USERS_IMAGES) and recipe_of(name, recipes) is None


def has_torch(image: str) -> bool:
    """Whether a name promises torch, so that waiting for the fork server that has it loaded pays."""
    return "torch" in image.lower()


def untouched(sites: list[str]) -> bool:
    """True while a pod's layer is empty, so that what a fork server preloaded is what would be imported."""
    return all(set(os.listdir(folder)) <= {OWN_FILE, "__pycache__"} for folder in sites)


class Environment:
    """An interpreter with its site folders and programs. `sites` is empty for the platform's own environment.

    `warm` tells that a fork server's imports are its own.
    """

    def __init__(self, prefix: Path, sites: list[Path], programs: list[Path], *, warm: bool = True) -> None:
        self.warm = warm
        self.prefix = prefix
        self.python = prefix / "bin" / "python"
        self.sites = sites
        self.programs = programs

    def variables(self) -> dict[str, str]:
        path = os.pathsep.join([*(str(folder) for folder in self.programs), SYSTEM_PATH])
        own = {"PATH": path, "VIRTUAL_ENV": str(self.prefix)}
        if self.sites:
            own |= {"PYTHONUSERBASE": str(self.prefix), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return own

    def python_arguments(self, argv: list[str], variables: Mapping[str, str]) -> list[str] | None:
        """What this environment's interpreter would be given, when `argv` means to run it; else None."""
        if not self.warm:
            return None
        program = shutil.which(argv[0], path=variables.get("PATH", "")) or argv[0]
        folder, name = os.path.split(program)
        if folder not in {str(bin_folder) for bin_folder in self.programs}:
            return None
        if name in {"python", "python3", VERSION}:
            return argv[1:]
        script = os.path.join(sys.prefix, "bin", name)
        return [script, *argv[1:]] if not name.startswith("pip") and python_script(script) else None


def platform() -> Environment:
    """The environment that this process runs in."""
    return Environment(Path(sys.prefix), [], [Path(sys.prefix) / "bin"])


def for_pod(paths: HomePaths, uid: str, image: str) -> Environment:
    """The layer of one pod for a foreign image; made on the first call, in milliseconds. Raises FileNotFoundError
    while what the image's name promises is not there."""
    shared = _shared_programs(paths)
    prefix = paths.pod(uid) / "env"
    site = prefix / SITE
    recipe, below = recipe_of(image, paths.recipes), [Path(sys.prefix) / SITE]
    programs = [prefix / "bin"]
    if recipe is not None:
        made = Environments(paths.environments).find(recipe)
        if made is None:
            raise FileNotFoundError(f"the packages of image {image!r} are not there yet")
        below = [made / "site", *(below if recipe.layered else [])]
        programs += [made / "programs", made / "site" / "bin"]
    if not (site / OWN_FILE).exists():
        _make_layer(paths, prefix, site, below)
    if recipe is None or recipe.layered:
        programs.append(shared)
    return Environment(prefix, [site], programs, warm=recipe is None)


def _make_layer(paths: HomePaths, prefix: Path, site: Path, below: list[Path]) -> None:
    """A pod's own folders; what lies in them at first is the same for all pods, so it is linked: each file that a pod
    makes and takes away again costs the disk's book-keeping more than anything else about a short pod."""
    template = _template(paths, below)
    for folder in (site, prefix / "bin"):
        os.makedirs(folder, exist_ok=True)
    for name in os.listdir(template):
        folder = {"pyvenv.cfg": prefix, OWN_FILE: site}.get(name, prefix / "bin")
        _link(f"{template}/{name}", f"{folder}/{name}")


def _link(source: str, target: str) -> None:
    """The same symbolic link once more: nobody can write through it to what others see, for that is shown read-only,
    and whoever wants another file there puts it in the place of the link."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:  # as many as this disk lets one file have
        os.symlink(os.readlink(source), target)


def _template(paths: HomePaths, below: list[Path]) -> Path:
    """Links to all that a layer over `below` begins with; made once."""
    lines = [f"import site; site.addsitedir({str(folder)!r})\n" for folder in below]
    if below[-1] != Path(sys.prefix) / SITE:  # the platform's own code for users comes along all the same
        lines.append(f"{ROOT / 'sdk'}\n")
    settings = f"home = {_base_python().parent}\ninclude-system-site-packages = true\n"
    pip, own = _SCRIPT.format("-m pip"), "".join(lines)
    texts = {"pip": pip, "pip3": pip, "pyvenv.cfg": f"{settings}version = {sys.version.split()[0]}\n", OWN_FILE: own}
    name = f"layer-{VERSION}-{sha256(repr((texts, _base_python())).encode()).hexdigest()[:16]}"
    return _appearing(paths.images / name / "links", lambda folder: _fill(folder, paths.images / name / "files", texts))


def _fill(links: Path, files: Path, texts: Mapping[str, str]) -> None:
    files.mkdir(exist_ok=True)
    for name, text in texts.items():
        _write_program(files / name, text)
        (links / name).symlink_to(files / name)
    for name in ("python", "python3", VERSION):
        (links / name).symlink_to(_base_python())


def _base_python() -> Path:
    return Path(sys.base_prefix) / "bin" / VERSION


def _shared_programs(paths: HomePaths) -> Path:
    """The platform's Python programs (torchrun and others) run by whichever python comes first on PATH; made once."""
    return _appearing(paths.images / f"programs-{VERSION}", _fill_programs)


def _fill_programs(folder: Path) -> None:
    for script in (Path(sys.prefix) / "bin").iterdir():
        if not script.name.startswith(("python", "pip")) and python_script(str(script)):
            _write_program(folder / script.name, f'#!/bin/sh\nexec python {script} "$@"\n')


def _appearing(folder: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that is filled once, beside its place, so that nobody sees half of it."""
    if folder.exists():
        return folder
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    fill(beside)
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
