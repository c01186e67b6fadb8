"""Spans and their context between processes as W3C `traceparent`; without an exporter only the ids travel."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.base.ids import random_bits

_W3C = TraceContextTextMapPropagator()
_ids_alone = False


def make_ids_alone(alone: bool) -> None:
    """Whether spans are no more than ids, since nobody collects them. Before the first word they are OpenTelemetry's,
    which without a provider of its own makes none."""
    global _ids_alone
    _ids_alone = alone


@contextmanager
def span(name: str, parent: Mapping[str, str] | None = None, **attrs: str | int | float | bool) -> Iterator[trace.Span]:
    """A span around the block, which fails with it; `parent` holds a `traceparent` that came from elsewhere."""
    outer = extract(parent) if parent else None
    if not _ids_alone:
        tracer = trace.get_tracer("millstream")
        with tracer.start_as_current_span(name, context=outer, attributes=attrs) as current:
            yield current
        return
    unsent = _unsent(trace.get_current_span(outer).get_span_context())
    token = context.attach(trace.set_span_in_context(unsent))
    try:
        yield unsent
    finally:
        context.detach(token)


def _unsent(parent: trace.SpanContext) -> trace.Span:
    """What others know of a span that nobody collects: it costs a tenth of one that is."""
    follows = parent.is_valid
    trace_id = parent.trace_id if follows else random_bits(128) or 1
    flags = parent.trace_flags if follows else trace.TraceFlags(trace.TraceFlags.SAMPLED)
    state = parent.trace_state if follows else None
    return trace.NonRecordingSpan(trace.SpanContext(trace_id, random_bits(64) or 1, False, flags, state))


def inject() -> dict[str, str]:
    """Headers that carry the current span on; empty outside of one."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    ids = f"{trace.format_trace_id(current.trace_id)}-{trace.format_span_id(current.span_id)}"
    headers = {"traceparent": f"00-{ids}-{current.trace_flags:02x}"}
    if current.trace_state:
        headers["tracestate"] = current.trace_state.to_header()
    return headers


def extract(headers: Mapping[str, str]) -> context.Context:
    """The context that another process injected; an empty one when its header is absent or malformed."""
    return _W3C.extract({name.lower(): value for name, value in headers.items()})


def trace_id() -> str:
    """The current trace in hex, empty outside of one."""
    current = trace.get_current_span().get_span_context()
    return trace.format_trace_id(current.trace_id) if current.is_valid else ""
