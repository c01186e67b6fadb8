"""The Linux calls that Python 3.11 lacks, through ctypes; it must not assume that any of them is permitted."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NAME, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 15, 24, 36, 38
_CAPABILITIES_MAX = 64
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1
_CAPABILITY_VERSION_3 = 0x20080522
# system call numbers: pivot_root, capset, mount_setattr (arch/*/include/generated/uapi/asm/unistd*)
_NUMBERS = {"x86_64": (155, 126, 442), "aarch64": (41, 91, 442)}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _number(index: int) -> int:
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None:
        raise OSError(f"no system call table for {platform.machine()}")
    return numbers[index]


def prctl(option: int, value: int | bytes) -> None:
    _check(_libc.prctl(option, ctypes.c_char_p(value) if isinstance(value, bytes) else value, 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, fstype: str | None, flags: int, data: str | None = None) -> None:
    kind, extra = (None if text is None else text.encode() for text in (fstype, data))
    call = _libc.mount(os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), extra)
    _check(call, f"mount {source} on {target}")


def unmount_lazily(target: str) -> None:
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    _check(_libc.syscall(_number(0), os.fsencode(new), os.fsencode(old)), "pivot_root")


def make_read_only(target: str) -> None:
    """The whole mount tree at `target` becomes read-only: mount_setattr (Linux 5.12), else a remount of its top."""
    attributes = struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    path, size = os.fsencode(target), ctypes.c_size_t(len(attributes))
    if _libc.syscall(_number(2), _AT_FDCWD, path, _AT_RECURSIVE, attributes, size) == 0:
        return
    # An unprivileged remount must repeat the flags that the mount already has: statvfs flags match MS_ up to 1<<10.
    kept = os.statvfs(target).f_flag & 0x7FE & ~MS_REMOUNT
    mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def drop_capabilities() -> None:
    """Gives up what a new user namespace granted, for good: an exec as root (of the namespace) brings nothing back."""
    for capability in range(_CAPABILITIES_MAX):
        if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # past the last one that this kernel knows
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.syscall(_number(1), head, struct.pack("=IIIIII", *[0] * 6)), "capset")


def flush_c_streams() -> None:
    _libc.fflush(None)
