"""What one download is asked to do, for every source alike; knows no source in particular."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from services.trainer.workloads.failure import Failure
from services.trainer.workloads.meter import Meter


@dataclass(frozen=True)
class Task:
    """`part` is dataset or model. `into` is a folder that a killed attempt may have filled already."""

    uri: str
    part: str
    into: Path
    environ: Mapping[str, str]
    meter: Meter
    sleep: Callable[[float], None] = field(repr=False)

    @property
    def ignored(self) -> list[str]:
        """Shell patterns of files to leave out, as the Kubeflow SDK sends them: `*.bin,*.pt`."""
        return [found for part in self.environ.get("IGNORE_PATTERNS", "").split(",") if (found := part.strip())]

    def wants(self, name: str) -> bool:
        return not any(fnmatch(name, pattern) for pattern in self.ignored)

    def target(self, name: str) -> Path:
        """Where a file of this relative name lands; its folder exists. Raises Failure for one that would leave."""
        root = self.into.resolve()
        place = root if "\0" in name else (root / name).resolve()
        if not place.is_relative_to(root) or place == root:
            raise Failure(self.uri, f"the name {name!r} leads out of the folder", "rename it at the source")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
