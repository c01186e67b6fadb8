"""Logs, traces and metrics behind one small API; nothing is exported, and no exporter imported, unless settings ask."""

from libs.telemetry.logs import configure_logs
from libs.telemetry.meters import SHORT_S, About, counter, declared, gauge, histogram, metrics_text
from libs.telemetry.routes import OTHER, name_route, route_of
from libs.telemetry.setup import Telemetry, setup
from libs.telemetry.tracing import extract, inject, span, trace_id

__all__ = [
    "OTHER",
    "SHORT_S",
    "About",
    "Telemetry",
    "configure_logs",
    "counter",
    "declared",
    "extract",
    "gauge",
    "histogram",
    "inject",
    "metrics_text",
    "name_route",
    "route_of",
    "setup",
    "span",
    "trace_id",
]
