"""What `kubectl get` prints about a TrainJob."""

from typing import Any

from services.trainer.domain import state


def job_state(job: dict[str, Any]) -> str:
    """As `kubectl get pods` does it: the reason in place of the state where something is in the way."""
    word = state.phase(job)
    return (state.hindrance(job) if word in ("Starting", "Running", "Deleting") else None) or word


def nodes(job: dict[str, Any]) -> str:
    return str((job["spec"].get("trainer") or {}).get("numNodes") or "")


def progress(job: dict[str, Any]) -> str:
    reported = ((job.get("status") or {}).get("trainerStatus") or {}).get("progressPercentage")
    return "" if reported is None else f"{reported}%"


def steps(job: dict[str, Any]) -> str:
    done = (job.get("status") or {}).get("steps")
    return "" if done is None else str(done)


def goodput(job: dict[str, Any]) -> str:
    share = (job.get("status") or {}).get("goodput")
    return "" if share is None else f"{100 * share:.0f}%"
