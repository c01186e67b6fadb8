"""A service's rights on a cluster are what its manifest says, and the deployment carries exactly those."""

from pathlib import Path

import pytest
import yaml

from libs.service.manifest import Manifest, load_all
from libs.service.roles import allow, role_objects, rules

ROOT = Path(__file__).parents[2]
TOY = Manifest(name="toy", creates=("jobs.batch/v1", "secrets/v1"), reads=("pods/v1",))


@pytest.mark.parametrize(
    ("verb", "group", "plural", "allowed"),
    [
        ("create", "batch", "jobs", True),
        ("watch", "batch", "jobs", True),
        ("create", "apps", "jobs", False),
        ("list", "", "pods", True),
        ("get", "", "pods/log", True),
        ("delete", "", "pods", False),
        ("create", "", "secrets", True),
        ("list", "", "secrets", False),
        ("watch", "", "secrets", False),
        ("get", "", "configmaps", False),
    ],
)
def test_a_service_may_write_what_it_creates_and_read_what_it_reads(
    verb: str, group: str, plural: str, allowed: bool
) -> None:
    assert allow(rules(TOY), verb, group, plural) is allowed


def test_what_a_service_patches_it_may_change_and_neither_make_nor_remove() -> None:
    given = rules(Manifest(name="toy", patches=("pods/v1",)))
    verbs = {verb for verb in ("get", "watch", "patch", "create", "update", "delete") if allow(given, verb, "", "pods")}
    assert verbs == {"get", "watch", "patch"}


def test_who_creates_and_reads_nothing_has_no_role() -> None:
    assert role_objects(Manifest(name="toy"), "system") == []


def test_the_deployment_carries_the_roles_that_the_manifests_say() -> None:
    wanted = [obj for each in load_all(ROOT / "services") for obj in role_objects(each, "millstream-system")]
    kept = list(yaml.safe_load_all((ROOT / "deploy/components/roles/roles.yaml").read_text()))
    assert kept == wanted, "run: make golden"


def test_who_makes_namespaces_may_neither_change_nor_delete_any() -> None:
    granted = rules(Manifest(name="toys", creates=("namespaces/v1",)))
    assert allow(granted, "create", "", "namespaces")
    assert not any(allow(granted, verb, "", "namespaces") for verb in ("update", "patch", "delete", "deletecollection"))
