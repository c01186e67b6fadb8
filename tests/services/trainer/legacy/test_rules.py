"""Which of the Training Operator's jobs are refused on write, with the field, the value and the remedy; defaults."""

from typing import Any

import pytest

from contracts.kinds.legacyjob import KINDS
from services.trainer.domain.legacy.frameworks import BY_KIND, FAMILIES
from services.trainer.domain.legacy.rules import causes, defaulted
from tests.services.trainer.legacy.builders import job, running, sent

WORKER = "spec.pytorchReplicaSpecs[Worker]"


def refused(owner: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, str]:
    """By field, what is said."""
    family = BY_KIND[owner["kind"]]
    return {cause.field: cause.message for cause in causes(defaulted(owner, family), old, family)}


def pytorch(**template: Any) -> dict[str, Any]:
    """A job of one worker with parts of its pod spec replaced."""
    owner = sent("PyTorchJob", {"Worker": 1})
    owner["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"] |= template
    return owner


BAD: list[tuple[dict[str, Any], str, str]] = [
    (sent("PyTorchJob", {"Master": 2}), "spec.pytorchReplicaSpecs[Master].replicas", "2 must be 1"),
    (sent("PyTorchJob", {"Worker": 0}), f"{WORKER}.replicas", "0 must be at least 1"),
    (sent("PyTorchJob", {}), "spec.pytorchReplicaSpecs", "at least one of Master, Worker"),
    (sent("PyTorchJob", {"Chief": 1}), "spec.pytorchReplicaSpecs[Chief]", "use Master, Worker"),
    (sent("XGBoostJob", {"Worker": 1}), "spec.xgbReplicaSpecs[Master]", "needs this role"),
    (sent("MPIJob", {"Worker": 1}), "spec.mpiReplicaSpecs[Launcher]", "needs this role"),
    (sent("TFJob", {"Chief": 1, "Master": 1}), "spec.tfReplicaSpecs", "more than one of Chief and Master"),
    (sent("PyTorchJob", {"Worker": 1}, metadata={"name": "Digits_1"}), "metadata.name", "'Digits_1'"),
    (sent("PyTorchJob", {"Worker": 1}, spec={"nprocPerNode": "many"}), "spec.nprocPerNode", "'many' must be auto"),
    (
        sent("PyTorchJob", {"Worker": 1}, spec={"elasticPolicy": {"minReplicas": 4, "maxReplicas": 2}}),
        "spec.elasticPolicy.minReplicas",
        "4 must not exceed maxReplicas, which is 2",
    ),
    (
        sent("PyTorchJob", {"Master": 1}, spec={"elasticPolicy": {"maxRestarts": 1}}),
        "spec.pytorchReplicaSpecs[Worker]",
        "must be there with an elasticPolicy",
    ),
    (
        sent("PyTorchJob", {"Worker": 1}, spec={"runPolicy": {"managedBy": "kueue.x-k8s.io/multikueue"}}),
        "spec.runPolicy.managedBy",
        "is no manager that runs jobs here",
    ),
    (pytorch(containers=[]), f"{WORKER}.template.spec.containers", "at least one container"),
    (
        pytorch(containers=[{"name": "main", "image": "img"}]),
        f"{WORKER}.template.spec.containers",
        "one container must be called 'pytorch'",
    ),
    (pytorch(containers=[{"name": "pytorch"}]), f"{WORKER}.template.spec.containers[0].image", "must name an image"),
    (
        pytorch(containers=[{"name": "pytorch", "image": "i", "resources": {"limits": {"cpu": "two"}}}]),
        f"{WORKER}.template.spec.containers[0].resources.limits.cpu",
        "'two' is not a quantity",
    ),
    (
        pytorch(containers=[{"name": "pytorch", "image": "i", "env": [{"name": 5}]}]),
        f"{WORKER}.template",
        "name",
    ),
]


@pytest.mark.parametrize(("owner", "field", "told"), BAD, ids=[f"{b[1]}: {b[2]}"[:60] for b in BAD])
def test_a_malformed_job_is_refused_with_the_field_and_the_remedy(owner: dict[str, Any], field: str, told: str) -> None:
    assert told in refused(owner)[field]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_the_smallest_job_of_every_kind_is_accepted_and_filled_in(family: Any) -> None:
    role = (family.required or family.roles)[0]
    owner = sent(family.kind, {role.lower(): {}})
    assert refused(owner) == {}
    stored = defaulted(owner, family)
    assert stored["spec"][family.specs][role]["replicas"] == 1
    assert stored["spec"][family.specs][role]["restartPolicy"] == family.restart
    assert stored["spec"]["runPolicy"] == {"cleanPodPolicy": "Running"}
    assert defaulted(stored, family) == stored
    model = next(kind for kind in KINDS if kind.__name__ == family.kind)
    model.model_validate(stored)


def test_an_mpijobs_old_word_for_cleaning_counts() -> None:
    owner = sent("MPIJob", {"Launcher": 1}, spec={"cleanPodPolicy": "All"})
    assert defaulted(owner, BY_KIND["MPIJob"])["spec"]["runPolicy"]["cleanPodPolicy"] == "All"


def test_a_running_job_keeps_its_replicas_and_may_change_its_run_policy() -> None:
    old = running(roles={"Master": 1, "Worker": 1})
    more = sent("PyTorchJob", {"Master": 1, "Worker": 3}, spec={"runPolicy": {"backoffLimit": 3, "suspend": True}})
    assert list(refused(more, old)) == ["spec.pytorchReplicaSpecs"]
    same = sent("PyTorchJob", {"Master": 1, "Worker": 1}, spec={"runPolicy": {"backoffLimit": 3, "suspend": True}})
    assert refused(same, old) == {}


def test_what_the_client_read_and_sends_back_is_no_change() -> None:
    amounts = {"limits": {"cpu": 1, "memory": "1Gi"}}
    old = sent("PyTorchJob", {"Worker": 1})
    old["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["resources"] = amounts
    back = sent("PyTorchJob", {"Worker": 1})
    text = {"limits": {"cpu": "1", "memory": "1Gi"}}
    back["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["resources"] = text
    assert refused(back, defaulted(old, BY_KIND["PyTorchJob"])) == {}


def test_a_suspended_job_whose_pods_are_gone_may_be_changed() -> None:
    gone = {"conditions": [{"type": "Suspended", "status": "True"}]}
    old = job(spec={"runPolicy": {"suspend": True}}, status=gone)
    assert refused(sent("PyTorchJob", {"Master": 1, "Worker": 5}), old) == {}
