"""What this machine has for its pods: cores and memory, of which cgroup limits may leave less than the hardware's."""

import contextlib
import os
from pathlib import Path

PODS = 250


def allocatable() -> dict[str, float]:
    """cpu (cores), memory (bytes), pods (count) and ephemeral-storage (bytes)."""
    cores = float(len(os.sched_getaffinity(0)))
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, float(Path(limit).read_text()))
    return {"cpu": cores, "memory": memory, "pods": float(PODS), "ephemeral-storage": 1e15}
