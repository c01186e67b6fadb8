"""The overlay that docs/operations.md shows works as it stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.deploy import schemas
from tests.deploy.builds import ROOT, build


def test_the_overlay_of_ones_own_in_the_docs_builds_and_is_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    [shown] = re.findall(r"```yaml\n# my-platform/kustomization.yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(shown.replace("../deploy", os.path.relpath(ROOT / "deploy", tmp_path)))
    objects = {(obj["kind"], obj["metadata"]["name"]): obj for obj in build(tmp_path)}
    assert not [fault for obj in objects.values() if (fault := schemas.fault(obj, schemas.OLDEST))]
    told = objects["ConfigMap", "millstream-config"]["data"]
    gateway = objects["Deployment", "gateway"]["spec"]["template"]["spec"]["containers"][0]
    assert (
        gateway["image"] == f"{told['MILLSTREAM_WORKLOAD_IMAGE_PREFIX']}gateway:{told['MILLSTREAM_WORKLOAD_IMAGE_TAG']}"
    )
    ingress = objects["Ingress", "millstream"]
    assert told["MILLSTREAM_PUBLIC_URL"] == f"https://{ingress['spec']['rules'][0]['host']}"
    assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
    assert ingress["metadata"]["namespace"] == "millstream-system"


def test_the_readme_names_overlays_and_components_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    section = text.partition("## On a cluster")[2].partition("\n## ")[0]
    [paragraph] = [part for part in section.split("\n\n") if part.startswith("`deploy/components/` holds")]
    components = re.findall(r"`([a-z0-9-]+)`", paragraph)
    assert len(components) > 5
    missing = [word for word in components if not (ROOT / "deploy/components" / word / "kustomization.yaml").exists()]
    assert not missing, missing
    overlays = re.findall(r"`deploy/overlays/([a-z]+)`", section)
    assert sorted(overlays) == sorted(
        path.parent.name for path in ROOT.glob("deploy/overlays/[!.]*/kustomization.yaml")
    )
