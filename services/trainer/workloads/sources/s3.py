"""s3://bucket/path: an object under its own name, or all that is below a prefix; half objects are gone on with.

ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY and REGION (the Kubeflow SDK's words) name another store than the platform's.
The platform's own keys never go to another endpoint.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from services.trainer.workloads.failure import Failure, Transient, no_network, no_permission, no_such
from services.trainer.workloads.sources.again import patiently
from services.trainer.workloads.task import Task

AWS = "https://s3.amazonaws.com"
CHUNK_BYTES = 1 << 20
AT_ONCE = 4
MISSING = ("NoSuchBucket", "NoSuchKey", "NoSuchObject", "ResourceNotFound")
DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
CREDENTIALS = "ACCESS_KEY_ID and SECRET_ACCESS_KEY"


def fetch(task: Task) -> None:
    where = urlsplit(task.uri)
    store, bucket, key = client(task.environ, task.uri), where.netloc, unquote(where.path).strip("/")
    found = patiently(task, lambda: list(_listed(task, store, bucket, key)))
    chosen = [(entry, name) for entry, name in found if task.wants(name)]
    if not chosen:
        raise no_such(
            task.uri, "no object that IGNORE_PATTERNS leaves" if found else "no object of this name or prefix"
        )
    task.meter.expect(len(chosen), sum(entry.size or 0 for entry, _ in chosen))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(_bring, task, store, bucket, *each) for each in chosen]:
            done.result()


def client(environ: Mapping[str, str], uri: str = "") -> Minio:
    """Fails on what the SDK can send and this program cannot do."""
    if environ.get("ROLE_ARN"):
        raise Failure(uri, "ROLE_ARN is not supported", f"give {CREDENTIALS} of that role instead")
    own = environ.get("ENDPOINT")
    platform: Mapping[str, str] = {} if own and own != environ.get("AWS_ENDPOINT_URL") else environ
    url = own or environ.get("AWS_ENDPOINT_URL") or AWS
    where = urlsplit(url if "//" in url else f"https://{url}")
    return Minio(
        where.netloc,
        access_key=environ.get("ACCESS_KEY_ID") or platform.get("AWS_ACCESS_KEY_ID"),
        secret_key=environ.get("SECRET_ACCESS_KEY") or platform.get("AWS_SECRET_ACCESS_KEY"),
        session_token=environ.get("SESSION_TOKEN") or platform.get("AWS_SESSION_TOKEN"),
        region=environ.get("REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        secure=where.scheme == "https",
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=60), retries=False, maxsize=AT_ONCE),
    )


def _listed(task: Task, store: Any, bucket: str, key: str) -> Iterator[tuple[Any, str]]:
    with _translated(task.uri):
        for entry in store.list_objects(bucket, prefix=key, recursive=True):
            name = relative(entry.object_name, key)
            if name:
                yield entry, name


def relative(name: str, key: str) -> str | None:
    """Where an object lands; None for what merely begins with the same letters and for folders' own entries."""
    if name.endswith("/"):
        return None
    if name == key:
        return name.rsplit("/", 1)[-1]
    below = name.removeprefix(f"{key}/" if key else "")
    return None if key and below == name else below


def _bring(task: Task, store: Any, bucket: str, entry: Any, name: str) -> None:
    """The part file's note names the object's version, so halves of two versions never meet."""
    target = task.target(name)
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    version = {"etag": entry.etag, "size": entry.size}
    done = task.into / ".millstream-notes" / f"{name}.json"
    if target.exists() and _read(done) == version:
        task.meter.came(entry.size or 0)
    else:
        if _read(note) != version:
            part.unlink(missing_ok=True)
            note.write_text(json.dumps(version))
        patiently(task, lambda: _download(task, store, bucket, entry, part))
        part.replace(target)
        note.unlink()
        done.parent.mkdir(parents=True, exist_ok=True)
        done.write_text(json.dumps(version))
    task.meter.file_done()


def _download(task: Task, store: Any, bucket: str, entry: Any, part: Path) -> None:
    offset = part.stat().st_size if part.exists() else 0
    if offset < (entry.size or 0) or not part.exists():
        with _translated(task.uri), part.open("ab") as file:
            answer = store.get_object(bucket, entry.object_name, offset=offset)
            try:
                if answer.headers.get("etag", "").strip('"') not in ("", entry.etag):
                    raise Failure(task.uri, f"{entry.object_name} changed while it was read", "start the job again")
                for chunk in answer.stream(CHUNK_BYTES):
                    file.write(chunk)
                    task.meter.came(len(chunk))
            finally:
                answer.close()
    if part.stat().st_size != entry.size:
        raise Transient(f"{part.stat().st_size} of {entry.size} bytes of {entry.object_name} arrived")


def _read(note: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(note.read_text()))
    except (OSError, ValueError):
        return None


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        raise _refusal(uri, error.code or "", str(error.message)) from error
    except InvalidResponseError as error:  # rclone tells errors as text/xml, which the client does not read
        raise _by_status(uri, getattr(error, "_code", 0), str(error)) from error
    except ServerError as error:
        raise Transient(str(error)) from error
    except urllib3.exceptions.NewConnectionError as error:
        raise no_network(uri, str(error).rsplit(": ", 1)[-1]) from error
    except urllib3.exceptions.HTTPError as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


def _refusal(uri: str, code: str, message: str) -> Exception:
    if code in MISSING:
        return no_such(uri, code)
    if code in DENIED:
        return no_permission(uri, f"{code}: {message}", CREDENTIALS)
    return Transient(f"{code}: {message}")


def _by_status(uri: str, status: int, message: str) -> Exception:
    known: dict[int, Callable[[], Exception]] = {
        404: lambda: no_such(uri, "the store knows no such bucket or object"),
        403: lambda: no_permission(uri, "the store refuses these keys", CREDENTIALS),
    }
    return known.get(status, lambda: Transient(message))()
