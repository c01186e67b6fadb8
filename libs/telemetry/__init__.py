"""Logs, traces and metrics behind one small API; nothing is exported, and no exporter imported, unless settings ask."""

from libs.telemetry.logs import configure_logs
from libs.telemetry.meters import counter, gauge, histogram, metrics_text
from libs.telemetry.setup import Telemetry, setup
from libs.telemetry.tracing import extract, inject, span, trace_id

__all__ = [
    "Telemetry",
    "configure_logs",
    "counter",
    "extract",
    "gauge",
    "histogram",
    "inject",
    "metrics_text",
    "setup",
    "span",
    "trace_id",
]
