"""A container's own view of the file system: a mount namespace with a new root; it must not assume privilege.

Runs in the child between fork and user code, single-threaded. Root needs only a mount namespace; an ordinary account
takes a user namespace that maps itself to itself, and so do users' pods under root: the kernel then keeps them from
the memory, environment and files (/proc/*/environ, /proc/*/root) of every process outside their own. Nothing on disk
outside the pod's own folder is changed: missing mount points are made on a tmpfs that mirrors the folder in question.
"""

from __future__ import annotations

import os
import socket
from typing import TypedDict

from services.node.runtime import linux


class View(TypedDict):
    """What a container sees. Paths are of this machine; order within a list is the order of mounting."""

    root: str  # an empty folder to build on
    hostname: str  # what gethostname answers: libraries (gloo) look up the address of it
    covered: list[tuple[str, str]]  # (folder of the pod, path it replaces): private and writable
    hidden: list[str]  # paths that become empty
    shown: list[tuple[str, str, bool]]  # (source, mount path, read-only)
    read_only: list[str]


def own_namespaces(mode: str) -> None:
    """`mode` is "mount" (privileged) or "user". Raises OSError where the kernel forbids it."""
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWUTS | (linux.CLONE_NEWUSER if mode == "user" else 0))
    if mode == "user":
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "wb", buffering=0) as file:
                file.write(text.encode())
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)


def enter(view: View, mode: str) -> None:
    """Moves this process into its view. Raises OSError; the process is then unfit for anything but an error report."""
    own_namespaces(mode)
    socket.sethostname(view["hostname"])
    shown = [(_open(source), path, read_only) for source, path, read_only in view["shown"]]
    kept = [(_open(path), path, True) for path in view["read_only"] if os.path.isdir(path)]
    covered = [(_open(source), path, False) for source, path in view["covered"]]
    hidden = [(-1, path, False) for path in view["hidden"]]
    tree = _Tree(view["root"])
    for fd, path, read_only in sorted(kept + covered + hidden, key=lambda step: len(step[1])) + shown:
        if fd < 0:
            tree.hide(path)
        else:
            tree.bind(fd, path, read_only)
    tree.become_root()
    for fd, _, _ in shown + kept + covered:
        os.close(fd)
    if mode == "user":
        linux.drop_capabilities()


def probe(scratch: str) -> str | None:
    """The first mode that works here, tried in a child: "mount", "user" or None."""
    os.makedirs(scratch, exist_ok=True)
    read_only = [os.path.dirname(os.__file__)]
    view: View = {
        "root": scratch,
        "hostname": "probe",
        "covered": [],
        "hidden": [],
        "shown": [],
        "read_only": read_only,
    }
    return next((mode for mode in ("mount", "user") if _works(view, mode)), None)


def confines(scratch: str) -> bool:
    """Whether "user" works here, also for root, and the platform's own files can still be read in it."""
    view: View = {"root": scratch, "hostname": "probe", "covered": [], "hidden": [], "shown": [], "read_only": []}
    return _works(view, "user")


def _works(view: View, mode: str) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            enter(view, mode)
            for needed in (os.__file__, __file__):  # root without its capabilities may not enter another's folder
                os.close(os.open(needed, os.O_RDONLY))
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _open(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


class _Tree:
    """The new root under construction. `_own` are folders in which mount points may simply be created, `_seen` paths
    that are known to be no links and to be there."""

    def __init__(self, root: str) -> None:
        self.root = root
        linux.mount("tmpfs", root, "tmpfs", 0, "mode=755")
        self._own: set[str] = {root}
        self._seen: set[str] = set()
        self._mirror("/", root)

    def _mirror(self, source: str, target: str) -> None:
        with os.scandir(source) as entries:
            for entry in entries:
                self._mirror_entry(entry, f"{target}/{entry.name}")

    def _mirror_entry(self, entry: os.DirEntry[str], target: str) -> None:
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
            return
        self._make_point(target, entry.is_dir(follow_symlinks=False))
        try:
            linux.mount(entry.path, target, None, linux.MS_BIND | linux.MS_REC)
        except OSError:
            return  # what may not be bound stays an empty mount point

    def _make_point(self, target: str, folder: bool) -> None:
        if folder:
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))

    def bind(self, fd: int, path: str, read_only: bool) -> None:
        source = f"/proc/self/fd/{fd}"
        folder = os.path.isdir(source)
        target = self._point(path, folder)
        linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
        self._forget_below(target)
        if read_only:
            linux.make_read_only(target)
        self._own.discard(target)
        if folder and not read_only and path == "/tmp":
            self._own.add(target)

    def hide(self, path: str) -> None:
        target = self._point(path, True)
        linux.mount("tmpfs", target, "tmpfs", 0, "mode=755")
        self._forget_below(target)
        self._own.add(target)

    def _forget_below(self, target: str) -> None:
        """Something else lies there now."""
        self._seen = {step for step in self._seen if not step.startswith(f"{target}/")}

    def _point(self, path: str, folder: bool) -> str:
        """The existing or newly made mount point for `path`, following links as the container will."""
        done, parts, links = self.root, [part for part in path.split("/") if part], 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = os.path.dirname(done) if done != self.root else done
                continue
            step = f"{done}/{part}"
            if step in self._seen:
                done = step
                continue
            if os.path.islink(step) and links < 40:
                links += 1
                link = os.readlink(step)
                done = self.root if link.startswith("/") else done
                parts = [piece for piece in link.split("/") if piece not in ("", ".")] + parts
                continue
            if not os.path.exists(step):
                self._own_folder(done)
                self._make_point(step, folder or bool(parts))
                if folder or parts:
                    self._own.add(step)
            self._seen.add(step)
            done = step
        return done

    def _own_folder(self, target: str) -> None:
        """Lays a tmpfs with the same entries over a folder of the host, so that something can be added to it."""
        if target in self._own:
            return
        original = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            linux.mount("tmpfs", target, "tmpfs", 0, "mode=755")
            self._mirror(f"/proc/self/fd/{original}", target)
        finally:
            os.close(original)
        self._own.add(target)

    def become_root(self) -> None:
        os.chdir(self.root)
        linux.pivot_root(".", ".")
        linux.unmount_lazily(".")
        os.chdir("/")
