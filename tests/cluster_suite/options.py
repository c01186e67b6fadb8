"""What the suite is told by its environment; it assumes nothing of the machine but kubectl from our environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "millstream-system"
STEPS = ("preflight", "images", "install", "api", "main-job", "kill", "clients", "rolling", "uninstall")


class BadOptions(Exception):
    """The environment lacks something; the message says what to set."""


@dataclass(frozen=True)
class Options:
    """Times in seconds. `url` and `token` reach the platform without a port-forward and without its Secret."""

    kubeconfig: Path
    image_prefix: str
    image_tag: str
    overlay: str
    url: str | None
    token: str | None
    steps: tuple[str, ...]
    keep: bool
    build: bool
    jobs: int
    namespace: str
    wait_s: float
    report: Path
    s3: Mapping[str, str] = field(default_factory=dict)
    """AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: the platform's object store, as seen from here."""
    base_image: str = ""
    mirror: str = ""
    """Where the engines' images lie (nats, PostgreSQL, rclone), for clusters that pull from one registry only."""

    @property
    def kubectl(self) -> Path:
        return Path(sys.executable).parent / "kubectl"

    @property
    def overlay_path(self) -> Path:
        return ROOT / "deploy" / "overlays" / self.overlay


def options_of(environ: Mapping[str, str]) -> Options:
    """Reads KUBECONFIG, IMAGE_PREFIX, BASE_IMAGE and the optional rest; raises BadOptions."""
    said = {key: value.strip() for key, value in environ.items()}
    path = Path(said.get("KUBECONFIG") or "")
    if not path.is_file():
        raise BadOptions("KUBECONFIG must name the kubeconfig file of the cluster to test")
    steps = tuple(said.get("STEPS", "").replace(",", " ").split()) or STEPS
    if unknown := [step for step in steps if step not in STEPS]:
        raise BadOptions(f"STEPS names {', '.join(unknown)}; there are {' '.join(STEPS)}")
    build = said.get("BUILD", "") == "1"
    if build and not (said.get("BASE_IMAGE") and said.get("IMAGE_PREFIX")):
        raise BadOptions("BUILD=1 needs BASE_IMAGE and IMAGE_PREFIX, which it hands to `make images PUSH=1`")
    s3_keys = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return Options(
        kubeconfig=path.resolve(),
        image_prefix=said.get("IMAGE_PREFIX", ""),
        image_tag=said.get("IMAGE_TAG", ""),
        overlay=said.get("OVERLAY") or "dev",
        url=said.get("MILLSTREAM_URL", "").rstrip("/") or None,
        token=said.get("MILLSTREAM_TOKEN") or None,
        steps=steps,
        keep=said.get("KEEP", "") == "1",
        build=build,
        jobs=int(said.get("JOBS") or 20),
        namespace=said.get("SUITE_NAMESPACE") or "millstream-suite",
        wait_s=float(said.get("WAIT_S") or 600),
        report=Path(said.get("REPORT") or ROOT / "test-cluster-report.txt"),
        s3={key: said[key] for key in s3_keys} if all(said.get(key) for key in s3_keys) else {},
        base_image=said.get("BASE_IMAGE", ""),
        mirror=said.get("MIRROR", ""),
    )
