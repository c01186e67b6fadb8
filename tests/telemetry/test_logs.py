"""What a log line holds, and what it never holds."""

import io
import json
import logging

import pytest

from libs.telemetry import configure_logs, span
from libs.telemetry.redact import HIDDEN, redact


@pytest.fixture
def lines():
    """Log lines as the service writes them; the loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure_logs("trainer", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = handlers, level


def test_a_line_is_one_json_object_that_names_its_service(lines):
    logging.getLogger("libs.bus").info("said %d letters", 3, extra={"subject": "millstream.x"})
    (line,) = lines()
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "service": "trainer",
        "logger": "libs.bus",
        "message": "said 3 letters",
        "subject": "millstream.x",
    }


def test_an_error_brings_its_traceback_in_the_same_line(lines):
    try:
        raise ValueError("postgresql://u:hush@h/d is away")
    except ValueError:
        logging.getLogger("x").exception("cannot open")
    (line,) = lines()
    assert "ValueError: postgresql://u:[redacted]@h/d is away" in line["error"]


def test_fields_with_secret_names_are_hidden_at_any_depth(lines):
    logging.getLogger("x").info("told", extra={"s3_secret_key": "hush", "environ": {"API_KEY": "hush", "port": 1}})
    (line,) = lines()
    assert line["s3_secret_key"] == HIDDEN
    assert line["environ"] == {"API_KEY": HIDDEN, "port": 1}


def test_lines_below_the_level_are_not_written(lines):
    logging.getLogger("x").debug("too small")
    assert lines() == []


def test_a_value_that_json_does_not_know_is_written_as_text(lines):
    logging.getLogger("x").info("odd", extra={"where": {1}})
    assert lines()[0]["where"] == "{1}"


def test_lines_for_people_are_plain():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure_logs("trainer", form="console", stream=stream)
    logging.getLogger("x").warning("slow", extra={"ms": 12})
    root.handlers, root.level = handlers, level
    assert stream.getvalue().endswith("WARNING trainer x: slow ms=12\n")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("connecting to nats://svc:hunter2@127.0.0.1:4222", "hunter2"),
        ("Authorization: Bearer abcdef1234567890", "abcdef1234567890"),
        ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln was refused", "eyJzdWIiOiJhIn0"),
        ("AWS_SECRET_ACCESS_KEY=s3cr3t and more", "s3cr3t"),
        ('{"password": "hunter2 three"}', "hunter2"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----", "MC4CAQ"),
    ],
    ids=["a password in a URL", "a bearer token", "a JWT", "a variable", "JSON", "a private key"],
)
def test_secrets_are_taken_out_of_text(text: str, secret: str):
    assert secret not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8080/apis/x?watch=true", "pod digits-node-0-1 started", "tokenizer loaded: bert"]
)
def test_text_without_secrets_stays_as_it_is(text: str):
    assert redact(text) == text


def test_a_line_inside_a_span_names_its_trace(lines):
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("outer") as outer, span("inner"):
        logging.getLogger("x").info("here")
    assert lines()[0]["trace_id"] == f"{outer.get_span_context().trace_id:032x}"
