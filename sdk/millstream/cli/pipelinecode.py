"""`millstream pipeline show RUN TASK --code`: what a step runs, as its run keeps it; whose file may differ by now."""

from __future__ import annotations

import shlex
from typing import Any

Record = dict[str, Any]
EXECUTOR = "kfp.dsl.executor_main"
"""What runs a Python component: its source is the last word of the command."""


def code(run: Record, task: Record) -> str:
    """The image, and a Python component's source or the words of a container's command."""
    spec = run["pipeline_spec"]
    spec = spec.get("pipeline_spec", spec)  # so where a platform's document came with it
    component = spec["components"].get(task["component"]) or {}
    executor = spec["deploymentSpec"]["executors"].get(component.get("executorLabel")) or {}
    if "importer" in executor:
        return "imports an artifact; no code runs"
    if "container" not in executor:
        return "a group of tasks; each of them has its code"
    container = executor["container"]
    command, args = container.get("command") or [], container.get("args") or []
    runs = str(command[-1]).strip("\n") if any(EXECUTOR in word for word in command) else shlex.join([*command, *args])
    return f"# image: {container['image']}\n{runs}"
