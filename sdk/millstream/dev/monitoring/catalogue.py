"""docs/metrics.md: every metric that a module of the platform declares, so that none is told of that is not there."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from libs.telemetry import About, declared

SKIPPED = ("libs.testing", "services.node", "services.serving.workloads", "services.trainer.workloads")
"""Doubles, the laptop's node, and programs of pods, which count for themselves."""
MODEL_SERVER = "millstream_model_"
HEAD = """# Metrics

Every service answers `GET /metrics` on its HTTP port in the Prometheus text format, without credentials; so does every
model server. Beside the metrics below there are those of the Prometheus client for the process itself (`process_*`,
`python_*`).

Labels take few values: kinds, routes, codes and types, never the name of an object or a namespace. Which service,
replica or InferenceService a series is of, the scraper adds (`deploy/components/monitoring`). Gauges are looked up when
they are read; `NaN` means that nobody can tell now, for instance of the broker while it is away.

This page is written from the code by `make golden`.
"""


def catalogue() -> str:
    """The page as it should be."""
    ours, models = _service_metrics(), _model_metrics()
    return "\n".join([HEAD, "## Services\n", *_table(ours), "", "## Model servers\n", *_table(models), ""])


def names() -> dict[str, About]:
    """Every metric of the platform by name."""
    return {about.name: about for about in (*_service_metrics(), *_model_metrics())}


def _service_metrics() -> list[About]:
    """Those of all modules: importing one declares what it measures, and does nothing else."""
    import libs
    import services

    for package in (libs, services):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(SKIPPED) and not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    return [about for about in declared() if not about.name.startswith("millstream_test_")]


def _model_metrics() -> list[About]:
    """The model server keeps a registry of its own, because it also runs where the libs are not."""
    from services.serving.workloads.model_server.metrics import Metrics

    meters = Metrics()
    labels = {meter._name: meter._labelnames for meter in vars(meters).values() if hasattr(meter, "_labelnames")}
    found = []
    for family in meters.registry.collect():
        if family.name.startswith(MODEL_SERVER):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            told = family.documentation.rstrip(".")
            found.append(About(name, family.type.capitalize(), told, tuple(labels[family.name])))
    return sorted(found, key=lambda about: about.name)


def _table(metrics: Iterable[About]) -> list[str]:
    head = ["| name | kind | labels | what it tells |", "| --- | --- | --- | --- |"]
    return head + [f"| `{m.name}` | {m.kind.lower()} | {_labels(m)} | {m.what} |" for m in metrics]


def _labels(metric: About) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)
