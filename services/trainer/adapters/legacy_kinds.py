"""The Training Operator's kinds as the trainer serves them: models, columns, rules and the facts of a change."""

from typing import Any

from contracts.kinds.legacyjob import GROUP, KINDS, VERSION
from libs.resources import Admission, Column, Kind
from services.trainer.adapters.kinds import FINALIZER, refuse, rights_for
from services.trainer.domain import rights
from services.trainer.domain.legacy import announce, rules, state
from services.trainer.domain.legacy.family import Family
from services.trainer.domain.legacy.frameworks import FAMILIES

Object = dict[str, Any]
MODELS = {model.__name__: model for model in KINDS}


def _kind(family: Family) -> Kind:
    def admit(job: Object, old: Object | None, admission: Admission) -> Object:
        stored = rules.defaulted(job, family)
        refuse(kind, job, rules.causes(stored, old, family))
        return stored

    kind = Kind(
        group=GROUP,
        version=VERSION,
        kind=family.kind,
        plural=family.plural,
        singular=family.kind.lower(),
        model=MODELS[family.kind],
        categories=("all", "kubeflow"),
        finalizer=FINALIZER,
        admit=admit,
        rights=rights_for(lambda job: rights.of_templates(job["spec"][family.specs], f"spec.{family.specs}")),
        events=lambda op, job, old: announce.facts_of(op, job, old, family),
        name_is_label=True,
        description=f"A {family.kind} of the Training Operator.",
        columns=(
            Column("State", "string", lambda job, now: state.phase(job), description="where the job is in its life"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ),
    )
    return kind


LEGACY_KINDS: dict[str, Kind] = {family.kind: _kind(family) for family in FAMILIES}
"""By their name."""
