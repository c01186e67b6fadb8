"""Turns telemetry on for one process, as its settings ask; the OpenTelemetry SDK is imported only to export."""

from collections.abc import Callable
from dataclasses import dataclass

from libs.base import Settings
from libs.telemetry.logs import configure_logs
from libs.telemetry.tracing import make_ids_alone


@dataclass(frozen=True)
class Telemetry:
    """What `setup` started; `close` sends what is still waiting."""

    service: str
    close: Callable[[], None]


def setup(service: str, settings: Settings) -> Telemetry:
    """Configures logs at once, and traces when `settings.otlp_endpoint` names a collector (OTLP over HTTP)."""
    configure_logs(service, level=settings.log_level, form=settings.log_format)
    return Telemetry(service, _export_traces(service, settings.otlp_endpoint))


def _export_traces(service: str, endpoint: str | None) -> Callable[[], None]:
    """Without a collector spans have ids all the same: they tie log lines and letters of one run together."""
    make_ids_alone(not endpoint)
    if not endpoint:
        return _nothing
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _nothing() -> None:
    """There is nothing to send."""
