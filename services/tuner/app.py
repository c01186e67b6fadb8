"""The tuner put together: this is the one place that knows all its parts."""

from __future__ import annotations

from pathlib import Path

from contracts.commands.tuning.v1 import ApplyExperiment, DeleteExperiment
from contracts.events.training.v1 import (
    LegacyJobApplied,
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobRejected,
    LegacyJobSucceeded,
    TrainJobApplied,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobSucceeded,
)
from libs.service.app import App, Ports
from libs.service.manifest import load
from libs.store import UnitOfWork
from services.tuner import handlers
from services.tuner.adapters.experiments import Experiments
from services.tuner.adapters.kinds import SUGGESTION, TRIAL, experiment_kind
from services.tuner.adapters.stored import StoredTrials
from services.tuner.adapters.trials import Trials
from services.tuner.plugins import ALGORITHMS
from services.tuner.ports import Needs


def build() -> App:
    """The parts of the service; opens nothing."""
    experiment = experiment_kind(ALGORITHMS)
    return App(
        manifest=load(Path(__file__).parent / "service.yaml"),
        kinds=(experiment, TRIAL, SUGGESTION),
        handlers={
            **dict.fromkeys((TrainJobApplied, LegacyJobApplied), handlers.when_run_accepted),
            **dict.fromkeys(
                (TrainJobSucceeded, TrainJobFailed, LegacyJobSucceeded, LegacyJobFailed), handlers.when_run_ended
            ),
            **dict.fromkeys((TrainJobRejected, LegacyJobRejected), handlers.when_run_rejected),
            **dict.fromkeys((TrainJobDeleted, LegacyJobDeleted), handlers.when_run_deleted),
        },
        command_kinds={ApplyExperiment: experiment, DeleteExperiment: experiment},
        needs=_needs,
        reconcilers=lambda ports: [Experiments(experiment, ALGORITHMS), Trials(experiment)],
    )


def _needs(ports: Ports, uow: UnitOfWork) -> Needs:
    return Needs(StoredTrials(ports.resources.view(uow)))
