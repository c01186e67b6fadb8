"""What `kubectl get` prints about a TrainJob."""

from typing import Any

from services.trainer.domain import state


def job_state(job: dict[str, Any]) -> str:
    return state.phase(job)


def nodes(job: dict[str, Any]) -> str:
    return str((job["spec"].get("trainer") or {}).get("numNodes") or "")


def progress(job: dict[str, Any]) -> str:
    reported = ((job.get("status") or {}).get("trainerStatus") or {}).get("progressPercentage")
    return "" if reported is None else f"{reported}%"
