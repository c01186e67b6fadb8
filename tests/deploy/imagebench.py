"""A bench for images: builds them with Debian's buildah on a base made by debootstrap, and runs them locked down.

Mirrors and indexes are those that apt and pip of this machine are told. The base is kept in the user's cache folder, so
only the first session on a machine pays for it. One session at a time builds there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
CODENAME = "bookworm"  # its Python is 3.11
BASE = f"localhost/millstream-base:{CODENAME}"
PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap", "ip": "iproute2", "unshare": "util-linux"}
UID = 65532
LOCKED = """
mount --make-rprivate /
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" && mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for name in null zero urandom random; do touch "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done
mkdir -m 1777 "$1/dev/shm"
ip link set lo up
cp -r "$2/." "$1/tmp/"
root="$1"; shift 2
exec chroot --userspec={uid}:{uid} "$root" "$@"
""".replace("{uid}", str(UID))
"""A read-only root, an own network with nothing but loopback, an ordinary user: what a hardened pod gets."""


class Unavailable(Exception):
    """This machine cannot build images and nothing can be done about it here."""


class Broken(Exception):
    """Something that should have worked did not; the message holds what it said."""


@dataclass
class Bench:
    """Builds in a storage of its own, with every build's words in `log`."""

    home: Path
    log: Path
    lock: IO[str]
    driver: str = "overlay"
    _containers: list[str] = field(default_factory=list)

    @cached_property
    def environment(self) -> dict[str, str]:
        config = self.home / "storage.conf"
        graph, run = self.home / self.driver, self.home / "run"
        config.write_text(f'[storage]\ndriver = "{self.driver}"\ngraphroot = "{graph}"\nrunroot = "{run}"\n')
        own = {"CONTAINERS_STORAGE_CONF": str(config), "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": self.driver}
        return {**os.environ, **own}

    def buildah(self, *arguments: str) -> str:
        return said(["buildah", *arguments], env=self.environment).strip()

    def make_base(self) -> None:
        """The base image, once: a minimal Debian with its Python."""
        if BASE in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
            return
        folder = self.home / "base"
        shutil.rmtree(folder, ignore_errors=True)
        with_ = "--include=python3,python3-venv,ca-certificates"
        said(["debootstrap", "--variant=minbase", with_, CODENAME, str(folder), mirror()])
        for litter in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(folder / litter, ignore_errors=True)
        container = self.buildah("from", "scratch")
        self.buildah("add", "-q", container, str(folder), "/")
        self.buildah("commit", "-q", "--rm", container, BASE)
        shutil.rmtree(folder)

    def build(self, name: str, tag: str = "ci", *options: str) -> Built:
        """`make images` for one image; raises Broken with the end of what the engine said."""
        command = [sys.executable, "-m", "millstream.dev.build", name, "--engine", "buildah", "--base", BASE]
        command += ["--prefix", "localhost/millstream/", "--tag", tag, *(f"--option={each}" for each in options)]
        with self.log.open("a") as log:
            done = subprocess.run(
                ["nice", "-n", "10", *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log, check=False
            )
        if done.returncode:
            raise Broken("\n".join(self.log.read_text().splitlines()[-40:]))
        return Built(self, f"localhost/millstream/{name}:{tag}")

    def mounted(self, image: str) -> Path:
        container = self.buildah("from", "--pull-never", image)
        self._containers.append(container)
        return Path(self.buildah("mount", container))

    def close(self) -> None:
        """Takes away everything but the base."""
        for container in self._containers:
            self.buildah("rm", container)
        kept = self.buildah("images", "-q", "--no-trunc", BASE).split()
        made = [each for each in self.buildah("images", "-qa", "--no-trunc").split() if each not in kept]
        if made:
            self.buildah("rmi", "--force", *made)
        self.lock.close()


@dataclass
class Built:
    """One image, and what it does when it runs."""

    bench: Bench
    name: str

    @cached_property
    def described(self) -> dict[str, Any]:
        return dict(json.loads(self.bench.buildah("inspect", "--type", "image", self.name)))

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.described["OCIv1"]["config"])

    @property
    def layers(self) -> list[str]:
        return list(self.described["OCIv1"]["rootfs"]["diff_ids"])

    @cached_property
    def root(self) -> Path:
        return self.bench.mounted(self.name)

    def run(self, *argv: str, files: Path | None = None, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs `argv` in the image as the image says, locked down; `files` are put into /tmp."""
        empty = self.bench.home / "empty"
        empty.mkdir(exist_ok=True)
        env = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *self.config["Env"]]
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", LOCKED, "sh"]
        command += [str(self.root), str(files or empty), *env, *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)

    def python(self, code: str, files: Path | None = None) -> str:
        """What a program prints; raises Broken when it fails."""
        done = self.run("python", "-c", code, files=files)
        if done.returncode:
            raise Broken(done.stdout[-2000:] + done.stderr[-4000:])
        return done.stdout.strip()


def open_bench(log: Path) -> Bench:
    """A bench that works, with its base; raises Unavailable where nothing can be installed, Broken otherwise."""
    if os.geteuid() != 0:
        raise Unavailable("needs root: debootstrap and a chroot are made")
    _install()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millstream" / "images"
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    for driver in ("overlay", "vfs"):
        bench = Bench(home, log, lock, driver)
        try:
            container = bench.buildah("from", "scratch")
            bench.buildah("mount", container)
        except Broken:
            continue
        bench.buildah("rm", container)
        bench.make_base()
        return bench
    raise Broken("buildah can use neither overlay nor vfs here")


def _install() -> None:
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Unavailable(f"needs {', '.join(missing)}, and there is no apt-get")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        said(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], env=quiet)
    except Broken as error:
        raise Unavailable(f"needs {', '.join(missing)}, and apt reaches no mirror: {str(error)[-300:]}") from error
    said(["apt-get", "install", "-y", "--no-install-recommends", *missing], env=quiet)


def mirror() -> str:
    """Where apt of this machine gets the distribution from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    for line in said(command).splitlines():
        uri, codename, component = line.split()
        if (codename, component) == (CODENAME, "main"):
            return uri
    raise Unavailable(f"apt of this machine knows no mirror of {CODENAME}")


def said(command: list[str], env: dict[str, str] | None = None) -> str:
    """What a command prints; raises Broken with its words when it fails."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{' '.join(command[:4])} ...: {(done.stderr or done.stdout)[-3000:]}")
    return done.stdout
