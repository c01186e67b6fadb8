"""Where the parts of a platform are: told by URLs for a cluster, found below the home for a laptop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.blobs import Endpoint
from libs.bus.snapshots import Streams
from libs.store.engines import Database, database
from millstream import laptop
from millstream.backup.broker import broker_on
from millstream.backup.buckets import Bucket, FolderBucket, S3Bucket
from millstream.home import SYSTEM_NAMESPACE, Home
from millstream.platform import node_url

NODE = "node"
STORE_PREFIX = "MILLSTREAM_STORE_URL_"


@dataclass(frozen=True)
class Places:
    """`stores` by service. Of NATS and S3 either an address or the folder in which a resting server keeps its files."""

    stores: Mapping[str, str] = field(default_factory=dict)
    nats_url: str = ""
    nats_ca_file: str | None = None
    nats_folder: Path | None = None
    replicas: int | None = None
    s3: Endpoint | None = None
    bucket: str = "millstream"
    bucket_folder: Path | None = None

    def databases(self) -> dict[str, Database]:
        return {name: database(url) for name, url in sorted(self.stores.items())}

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[Streams | None]:
        """None where no broker was named. Raises BusUnavailable."""
        if self.nats_folder is not None:
            with broker_on(self.nats_folder) as url:
                async with Streams.connect(url) as found:
                    yield found
        elif self.nats_url:
            async with Streams.connect(self.nats_url, ca_file=self.nats_ca_file) as found:
                yield found
        else:
            yield None

    def open_bucket(self) -> Bucket | None:
        """None where no store of objects was named."""
        if self.bucket_folder is not None:
            return FolderBucket(self.bucket_folder)
        return S3Bucket(self.s3, self.bucket) if self.s3 else None


def of_home(home: Home) -> Places:
    """A laptop's. While the platform rests, its files are read without its servers."""
    data = home.path / "data" / SYSTEM_NAMESPACE
    stores = {m.name: data / "data" / f"{m.name}.db" for m in laptop.manifests() if "store" in m.needs}
    stores[NODE] = home.path / "node" / "store.db"
    urls = {name: f"sqlite:///{path}" for name, path in stores.items()}
    if node_url(home) is None:
        return Places(urls, nats_folder=data / "nats-data", bucket_folder=data / "s3-data" / "millstream")
    env = home.read_env()
    endpoint = Endpoint(env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    return Places(urls, nats_url=env["NATS_URL"], s3=endpoint)


def of_cluster(environ: Mapping[str, str], stores: Mapping[str, str], nats: str, s3: str, replicas: int) -> Places:
    """A cluster's: what the options say, else MILLSTREAM_* variables; stores also as MILLSTREAM_STORE_URL_<SERVICE>."""
    told = {key.removeprefix(STORE_PREFIX): url for key, url in environ.items() if key.startswith(STORE_PREFIX) and url}
    known = {name.lower().replace("_", "-"): url for name, url in told.items()}
    address = s3 or environ.get("MILLSTREAM_S3_ENDPOINT", "")
    keys = environ.get("MILLSTREAM_S3_ACCESS_KEY") or None, environ.get("MILLSTREAM_S3_SECRET_KEY") or None
    return Places(
        stores={**known, **stores},
        nats_url=nats or environ.get("MILLSTREAM_NATS_URL", ""),
        nats_ca_file=environ.get("MILLSTREAM_NATS_CA_FILE") or None,
        replicas=replicas or None,
        s3=Endpoint(address, *keys) if address else None,
        bucket=environ.get("MILLSTREAM_S3_BUCKET") or "millstream",
    )


def migrations(service: str) -> list[Path]:
    """The folders of a service's revisions, besides those that every store has."""
    folder = laptop.ROOT / "services" / service / "adapters" / "migrations"
    return [folder] if folder.is_dir() else []
