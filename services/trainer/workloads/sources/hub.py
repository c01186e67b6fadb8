"""hf://org/name[@revision][/path]: a snapshot of a Hugging Face repository, or of a folder or file in it.

HF_ENDPOINT names a mirror, ACCESS_TOKEN (or HF_TOKEN) who asks; IGNORE_PATTERNS leaves files out. The hub's client
resumes halves by itself, from notes that it keeps in the folder until all is there.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from services.trainer.workloads.failure import Failure, Transient, no_network, no_permission, no_such
from services.trainer.workloads.meter import EVERY_S
from services.trainer.workloads.sources.again import patiently
from services.trainer.workloads.task import Task

NOTES = ".cache"
FILES_AT_ONCE = 4
TOKEN = "ACCESS_TOKEN of an account that may read it"


def fetch(task: Task) -> None:
    repo, revision, path = parts(task.uri)
    os.environ |= {
        "HF_HOME": str(task.into / NOTES / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_SYMLINKS_WARNING": "1",
    }
    with _watched(task):
        patiently(task, lambda: _snapshot(task, repo, revision, path))
    shutil.rmtree(task.into / NOTES, ignore_errors=True)
    _measure(task)
    if not task.meter.files:
        raise no_such(task.uri, f"the repository has no {path or 'file that IGNORE_PATTERNS leaves'}")


@contextmanager
def _watched(task: Task) -> Iterator[None]:
    """The client shows bars, a log wants lines: what has landed is looked at from time to time."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY_S):
            _measure(task)
            task.meter.came(0)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _measure(task: Task) -> None:
    sizes = []
    for file in task.into.rglob("*"):
        with suppress(FileNotFoundError):  # the client renames what it has finished
            if file.is_file():
                sizes.append(file.stat().st_size)
    task.meter.files, task.meter.bytes = len(sizes), sum(sizes)


def parts(uri: str) -> tuple[str, str | None, str]:
    """(org/name, revision, path inside); revisions with a slash are written with %2F."""
    words = (urlsplit(uri).netloc + urlsplit(uri).path).strip("/").split("/")
    if len(words) < 2 or not all(words[:2]):
        raise Failure(uri, "names no repository", "write hf://organisation/name")
    name, _, revision = words[1].partition("@")
    return f"{words[0]}/{name}", unquote(revision) or None, "/".join(words[2:])


def _snapshot(task: Task, repo: str, revision: str | None, path: str) -> None:
    import httpx2
    import huggingface_hub
    from huggingface_hub import errors

    try:
        huggingface_hub.snapshot_download(
            repo,
            repo_type=task.part,
            revision=revision,
            local_dir=task.into,
            endpoint=task.environ.get("HF_ENDPOINT") or None,
            token=task.environ.get("ACCESS_TOKEN") or task.environ.get("HF_TOKEN") or False,
            allow_patterns=[path, f"{path}/*"] if path else None,
            ignore_patterns=task.ignored or None,
            max_workers=FILES_AT_ONCE,
            tqdm_class=None,
        )
    except errors.HfHubHTTPError as error:
        raise _refusal(task, repo, revision, error) from error
    except errors.LocalEntryNotFoundError as error:
        raise _trouble(task, error.__cause__ or error) from error
    except (httpx2.TransportError, OSError) as error:
        raise _trouble(task, error) from error


def _refusal(task: Task, repo: str, revision: str | None, error: Any) -> Exception:
    from huggingface_hub import errors

    status = getattr(error.response, "status_code", 0)
    if isinstance(error, errors.GatedRepoError):
        return no_permission(task.uri, f"{repo} is gated, its owner must let you in first", TOKEN)
    if isinstance(error, errors.RevisionNotFoundError):
        return no_such(task.uri, f"{repo} has no revision {revision}")
    if status in (401, 403):
        return no_permission(task.uri, f"{repo} is private or there is none ({status})", TOKEN)
    if status == 404:
        return no_such(task.uri, f"no {task.part} {repo} on this hub")
    return Transient(f"HTTP {status}") if status in (408, 429) or status >= 500 else no_network(task.uri, str(error))


def _trouble(task: Task, error: BaseException) -> Exception:
    told = f"{type(error).__name__}: {error}"
    return no_network(task.uri, told) if "Connect" in type(error).__name__ else Transient(told)
