"""The bootstrap on a real Kubernetes API and a real PostgreSQL: once, twice, at once, interrupted, after a loss."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from cryptography import x509

from tests.engines.ground import Ground, Secrets

SERVICES = ("gateway", "pipelines", "registry", "scheduler", "serving", "trainer", "tuner")
STORES = ("pipelines", "registry", "scheduler", "serving", "trainer", "tuner")
LEDGER = "millstream-credentials"


def check(secrets: Secrets) -> None:
    """That every part fits every other, whoever made it and when."""
    users = {
        u["user"]: u["password"] for u in json.loads(secrets["nats-config"]["nats.conf"])["authorization"]["users"]
    }
    assert sorted(users) == ["person", *STORES]
    for service in STORES:
        told = secrets[f"millstream-{service}"]
        url = urlsplit(told["MILLSTREAM_NATS_URL"])
        assert (url.username, url.password) == (service, users[service])
    assert urlsplit(secrets["millstream-operator"]["MILLSTREAM_NATS_URL"]).password == users["person"]
    signing = secrets["millstream-gateway"]["MILLSTREAM_IDENTITY_PRIVATE_KEY"]
    assert {secrets[f"millstream-{each}"]["MILLSTREAM_IDENTITY_PUBLIC_KEY"] for each in SERVICES} == {public(signing)}
    keys = {secrets[f"millstream-{each}"]["MILLSTREAM_S3_SECRET_KEY"] for each in ("serving", "trainer", "operator")}
    assert secrets["s3-credentials"]["RCLONE_AUTH_KEY"] == f'"millstream,{keys.pop()}"' and not keys
    authority = x509.load_pem_x509_certificate(secrets["millstream-ca"]["tls.crt"].encode())
    for service in SERVICES:
        pair = secrets[f"millstream-{service}-tls"]
        certificate = x509.load_pem_x509_certificate(pair["tls.crt"].encode())
        certificate.verify_directly_issued_by(authority)
        assert pair["ca.crt"] == secrets["millstream-ca"]["ca.crt"]


def public(private: str) -> str:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()


async def opened(ground: Ground, service: str, database: str | None = None) -> asyncpg.Connection:
    """A connection as the service's own Secret says, at the place where this test's server listens."""
    url = urlsplit(ground.secrets()[f"millstream-{service}"]["MILLSTREAM_STORE_URL"])
    assert url.scheme == "postgresql+asyncpg" and url.hostname == f"postgres.{ground.namespace}.svc.cluster.local"
    name = database or url.path[1:]
    return await asyncpg.connect(host=ground.socket, user=url.username, password=url.password, database=name)


def test_the_first_run_makes_everything_and_the_second_changes_nothing(ground: Ground) -> None:
    first = ground.run()
    check(ground.secrets())
    before = ground.versions()
    second = ground.run()
    assert ground.versions() == before
    assert "made" in first and not re.search(r"^(made|changed|closed)", second, re.MULTILINE)


def test_two_at_once_agree(ground: Ground) -> None:
    both = [ground.start("--nats", "cluster") for _ in range(3)]
    told = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0, 0], told
    check(ground.secrets())
    before = ground.versions()
    ground.run("--nats", "cluster")
    assert ground.versions() == before


@pytest.mark.parametrize("lost", ["millstream-trainer", "millstream-gateway", "nats-config", "s3-credentials", LEDGER])
def test_one_lost_secret_is_made_again_as_it_was_and_no_other_is_touched(ground: Ground, lost: str) -> None:
    ground.run()
    secrets, versions = ground.secrets(), ground.versions()
    ground.delete(lost)
    ground.run()
    assert ground.secrets() == secrets
    now = ground.versions()
    assert [name for name in versions if now[name] != versions[name]] == [lost]


def test_a_lost_certificate_is_made_again_alone(ground: Ground) -> None:
    ground.run()
    versions = ground.versions()
    ground.delete("millstream-trainer-tls")
    ground.run()
    now = ground.versions()
    assert [name for name in versions if now[name] != versions[name]] == ["millstream-trainer-tls"]
    check(ground.secrets())


def test_a_secret_that_somebody_else_made_is_left_as_it_is(ground: Ground) -> None:
    ground.secret("s3-credentials", {"RCLONE_AUTH_KEY": "mine,secret"})
    assert "left     Secret s3-credentials" in ground.run()
    assert ground.secrets()["s3-credentials"] == {"RCLONE_AUTH_KEY": "mine,secret"}


def test_nothing_that_is_printed_is_secret(ground: Ground) -> None:
    said = ground.run("--nats", "cluster") + ground.run("--nats", "cluster")
    texts = {text for keys in ground.secrets().values() for text in keys.values()}
    words = {word for text in texts for word in re.findall(r"[A-Za-z0-9_+/=-]{16,}", text)}
    assert len(words) > 50 and not [word for word in words if word in said and "millstream" not in word]


def test_what_somebody_else_runs_is_left_out(ground: Ground) -> None:
    said = ground.run("--postgres", "external", "--s3", "external", "--certificates", "off")
    secrets = ground.secrets()
    assert not [name for name in secrets if name.endswith("-tls") or name in ("postgres-credentials", "millstream-ca")]
    assert sorted(secrets["millstream-trainer"]) == ["MILLSTREAM_IDENTITY_PUBLIC_KEY", "MILLSTREAM_NATS_URL"]
    assert "database" not in said


async def test_each_service_owns_its_database_and_is_kept_out_of_the_others(ground: Ground) -> None:
    await asyncio.to_thread(ground.run)
    trainer = await opened(ground, "trainer")
    try:
        await trainer.execute("CREATE TABLE jobs (name text)")
        assert await trainer.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'jobs'") == "trainer_owner"
    finally:
        await trainer.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await opened(ground, "registry", "trainer")


def test_an_engine_is_replaced_when_its_configuration_changed_and_only_then(ground: Ground) -> None:
    ground.run()
    ground.post(f"/apis/apps/v1/namespaces/{ground.namespace}/statefulsets", stateful_set("nats"))
    assert "StatefulSet" not in ground.run()
    assert "changed  StatefulSet nats" in ground.run("--nats", "cluster")
    [broker] = ground.objects("/apis/apps/v1", "statefulsets")
    annotations = broker["spec"]["template"]["metadata"]["annotations"]
    assert re.fullmatch(r"[0-9a-f]{32}", annotations["millstream.dev/configuration"])
    assert "StatefulSet" not in ground.run("--nats", "cluster")


def stateful_set(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": name, "command": ["true"]}]}}
    spec = {"replicas": 0, "serviceName": name, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def test_a_word_it_does_not_know_ends_with_2_and_an_unreachable_cluster_with_1(ground: Ground, tmp_path: Path) -> None:
    assert "invalid choice" in ground.run("--nats", "kafka", code=2)
    nowhere = json.loads(Path(ground.kubeconfig).read_text())
    nowhere["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(json.dumps(nowhere))
    ground.kubeconfig = str(tmp_path / "kubeconfig")
    assert "the cluster does not answer" in ground.run(code=1)
    ground.kubeconfig = str(tmp_path / "none")
    assert "no cluster is known" in ground.run(code=1)


def test_a_database_that_never_comes_is_told_after_the_wait(ground: Ground, tmp_path: Path) -> None:
    ground.socket = str(tmp_path)
    assert "PostgreSQL was not reached within 1 s" in ground.run("--wait", "1", code=1)


def killed_after(writes: int, arguments: list[str]) -> None:
    """The bootstrap in this process, which is killed (kill -9) right after its n-th write, answered or not."""
    from millstream.cluster import bootstrap

    from libs.cluster.connection import Connection

    left = writes

    def dying(real: Callable[..., Any], is_write: Callable[..., bool]) -> Callable[..., Any]:
        async def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            found = await real(*args, **more)
            left -= is_write(*args)
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    Connection.call = dying(Connection.call, lambda _, method, *more: method != "GET")  # type: ignore[method-assign]
    asyncpg.Connection.execute = dying(asyncpg.Connection.execute, lambda *_: True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(bootstrap.main(arguments, {}))


NEVER = 1_000_000


@pytest.mark.timeout(600)  # it waits for processes: a busy machine takes long
@pytest.mark.parametrize("own", [[], ["--postgres", "external"]], ids=["in the databases", "in the cluster"])
def test_killed_after_any_of_its_writes_the_next_run_completes_it(
    node: tuple[str, str], postgres: Any, own: list[str]
) -> None:
    """Two ways through it, since databases are slow to make; the first begins where the second ends."""
    interrupted = 0
    for writes in range(1, 24, 2) if own else range(25, 60, 6):
        ground = Ground(*node, postgres)
        if forked(writes, ground, own) == 0:
            break
        before = without_ledger(ground.secrets())
        assert forked(NEVER, ground, own) == 0
        check(ground.secrets())
        after = without_ledger(ground.secrets())
        assert {name: after[name] for name in before} == before
        if not own:
            asyncio.run(let_in(ground))
        interrupted += 1
    assert interrupted > (5 if own else 3)


def forked(writes: int, ground: Ground, own: list[str]) -> int:
    """The bootstrap in a child of this process; its exit code, which is 0 unless it was killed."""
    child = multiprocessing.get_context("fork").Process(target=killed_after, args=(writes, [*own, *ground.arguments]))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode


def without_ledger(secrets: Secrets) -> Secrets:
    """The Secrets that others read; into the ledger a later run writes what it has seen."""
    return {name: keys for name, keys in secrets.items() if name != LEDGER}


async def let_in(ground: Ground) -> None:
    for service in STORES:
        await (await opened(ground, service)).close()
