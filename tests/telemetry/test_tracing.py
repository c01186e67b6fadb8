"""Spans and the context that ties processes together."""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from libs.base import Settings
from libs.telemetry import counter, extract, histogram, inject, metrics_text, setup, span, trace_id
from libs.telemetry.tracing import make_ids_alone
from libs.testing.web import web_server

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module", autouse=True)
def telemetry():
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    started = setup("test", Settings(service="test"))
    root.handlers, root.level = handlers, level
    yield started
    started.close()


def test_a_letter_carries_the_trace_on():
    with span("handle", parent={"Traceparent": PARENT}):
        assert trace_id() == "0af7651916cd43dd8448eb211c80319c"
        sent = inject()["traceparent"]
    assert sent.split("-")[1] == PARENT.split("-")[1]
    assert sent.split("-")[2] != PARENT.split("-")[2]


def test_a_span_without_a_parent_starts_a_trace():
    with span("first"):
        one = trace_id()
    with span("second"):
        assert one and trace_id() != one


@pytest.mark.parametrize("header", ["", "garbage", "00-zz-zz-01"])
def test_a_malformed_parent_is_ignored(header: str):
    with span("handle", parent={"traceparent": header}):
        assert len(trace_id()) == 32


def test_outside_of_a_span_nothing_is_injected():
    assert inject() == {}
    assert trace_id() == ""
    assert extract({}) == {}


@pytest.fixture
def collected():
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    make_ids_alone(False)
    yield
    make_ids_alone(True)


def test_a_span_that_is_collected_fails_with_its_block(collected: None):
    with pytest.raises(ValueError, match="no"), span("fails", jobs=2) as failed:
        raise ValueError("no")
    assert failed.status.status_code.name == "ERROR"
    assert dict(failed.attributes) == {"jobs": 2}


def test_metrics_are_read_as_prometheus_text():
    counter("test_letters_said", "Letters that the broker has acknowledged.").inc(2)
    histogram("test_write_seconds", labels=("kind",)).labels("job").observe(0.004)
    text = metrics_text()
    assert "millstream_test_letters_said_total 2.0" in text
    assert 'millstream_test_write_seconds_bucket{kind="job",le="0.005"} 1.0' in text


def test_the_same_name_is_the_same_metric_and_never_another_kind():
    assert counter("test_once") is counter("test_once")
    with pytest.raises(ValueError, match="already a Counter"):
        histogram("test_once")


def test_spans_reach_the_collector_that_settings_name():
    got: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

    with web_server(Collector) as url:
        script = (
            "from libs.base import Settings; from libs.telemetry import setup, span\n"
            f"t = setup('x', Settings(service='x', otlp_endpoint='{url}'))\n"
            "with span('one'): pass\n"
            "t.close()"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    assert got == ["/v1/traces"]


def test_importing_telemetry_brings_no_exporter_and_no_sdk():
    script = "import sys, libs.telemetry; print([m for m in sys.modules if 'exporter' in m or '.sdk' in m])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]"
