"""Spans and their context between processes as W3C `traceparent`; without an exporter only the ids travel."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


@contextmanager
def span(name: str, parent: Mapping[str, str] | None = None, **attrs: str | int | float | bool) -> Iterator[trace.Span]:
    """A span around the block, which fails with it; `parent` holds a `traceparent` that came from elsewhere."""
    outer = extract(parent) if parent else None
    tracer = trace.get_tracer("millstream")
    with tracer.start_as_current_span(name, context=outer, attributes=attrs) as current:
        yield current


def inject() -> dict[str, str]:
    """Headers that carry the current span on; empty outside of one."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers


def extract(headers: Mapping[str, str]) -> context.Context:
    """The context that another process injected; an empty one when its header is absent or malformed."""
    return _W3C.extract({name.lower(): value for name, value in headers.items()})


def trace_id() -> str:
    """The current trace in hex, empty outside of one."""
    current = trace.get_current_span().get_span_context()
    return trace.format_trace_id(current.trace_id) if current.is_valid else ""
