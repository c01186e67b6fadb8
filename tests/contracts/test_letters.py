"""Letters: written, sent in both CloudEvents modes, opened; what is no letter is refused by the field at fault."""

import json
from datetime import UTC, datetime
from math import isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.commands.training.v1 import ApplyTrainJob
from contracts.envelope import Letter, Malformed, binary, letter_for, open_letter, registry, structured, subject_of
from contracts.events.training.v1 import ModelArtifact, TrainJobStarted, TrainJobSucceeded
from contracts.golden.samples import sample_letter

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
STARTED = TrainJobStarted(namespace="team-a", name="digits", uid="u-1")
LETTER = letter_for(STARTED, id="e-1", source="millstream/trainer", now=NOW)
EVERY_SAMPLE = [pytest.param(sample_letter(message, "test"), id=type) for type, message in registry().items()]


def changed(**attributes: Any) -> dict[str, Any]:
    merged = {**LETTER.to_dict(), **attributes}
    return {k: v for k, v in merged.items() if v is not ...}


@pytest.mark.parametrize("letter", EVERY_SAMPLE)
@pytest.mark.parametrize("mode", [structured, binary])
def test_a_sample_of_every_type_survives_the_journey(letter: Letter, mode: Any) -> None:
    headers, body = mode(letter)
    opened, message = open_letter(body, headers, subject=subject_of(letter))
    assert opened == letter
    assert message.model_dump(mode="json") == letter.data
    assert type(message) is registry()[letter.type]


@pytest.mark.parametrize("letter", EVERY_SAMPLE)
def test_a_reader_ignores_what_a_newer_writer_added_at_any_depth(letter: Letter) -> None:
    grown = letter.to_dict() | {"newextension": "x"}
    grown["data"] = _grow(registry()[letter.type].read(letter.data).model_dump(mode="json"))
    _, message = open_letter(grown)
    assert message == registry()[letter.type].read(letter.data)


def _grow(data: dict[str, Any]) -> dict[str, Any]:
    models = {name: value | {"added_later": 1} for name, value in data.items() if name == "model" and _is_model(value)}
    return {**data, **models, "added_later": {"deep": True}}


def _is_model(value: object) -> bool:
    return isinstance(value, dict)


def test_a_writer_may_not_misspell_a_field() -> None:
    with pytest.raises(ValidationError, match="nane"):
        TrainJobStarted(namespace="team-a", nane="digits", uid="u-1")  # type: ignore[call-arg]


def test_a_letter_has_the_attributes_of_cloudevents() -> None:
    assert LETTER.to_dict() == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "millstream/trainer",
        "type": "training.trainjob.started.v1",
        "subject": "team-a/digits",
        "time": "2026-11-22T10:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:millstream:schema:training.trainjob.started.v1",
        "namespace": "team-a",
        "correlationid": "e-1",
        "data": {"namespace": "team-a", "name": "digits", "uid": "u-1"},
    }


def test_a_chain_of_letters_keeps_its_first_id_and_its_trace() -> None:
    command = ApplyTrainJob(namespace="team-a", manifest={"metadata": {"name": "digits"}})
    first = letter_for(command, id="1", source="cli", now=NOW, traceparent="00-a-b-01")
    second = letter_for(STARTED, id="2", source="trainer", now=NOW, causation=first)
    third = letter_for(STARTED, id="3", source="trainer", now=NOW, causation=second)
    assert first.subject == "team-a/digits"
    assert [letter.causationid for letter in (first, second, third)] == [None, "1", "2"]
    assert {letter.correlationid for letter in (first, second, third)} == {"1"}
    assert {letter.traceparent for letter in (first, second, third)} == {"00-a-b-01"}


def test_a_cluster_scoped_letter_travels_under_an_underscore() -> None:
    letter = letter_for(TrainJobStarted(namespace="", name="n", uid="u"), id="1", source="s", now=NOW)
    assert subject_of(letter) == "millstream.training.trainjob.started.v1._"
    assert letter.subject == "n"
    assert open_letter(*reversed(structured(letter)))[1].namespace == ""


def test_four_attributes_and_a_message_are_enough_for_a_stranger() -> None:
    data = {"namespace": "team-a", "manifest": {"kind": "TrainJob"}}
    raw = json.dumps({"specversion": "1.0", "id": "x", "source": "s", "type": ApplyTrainJob.type, "data": data})
    letter, message = open_letter(raw.encode())
    assert message == ApplyTrainJob(namespace="team-a", manifest={"kind": "TrainJob"})
    assert (letter.namespace, letter.time) == ("team-a", None)


def test_binary_mode_carries_words_of_any_language() -> None:
    letter = LETTER.model_copy(update={"source": "http://bücher/50 % größer\n"})
    headers, body = binary(letter)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert open_letter(body, {name.upper(): value for name, value in headers.items()})[0] == letter


def test_a_diverged_metric_is_told_in_valid_json() -> None:
    model = ModelArtifact(name="m", uri="s3://b/m", format="pytorch")
    event = TrainJobSucceeded(
        namespace="a",
        name="n",
        uid="u",
        model=model,
        metrics={"loss": float("nan"), "top": float("inf")},
        register=True,
    )
    _, body = structured(letter_for(event, id="1", source="s", now=NOW))
    assert json.loads(body)["data"]["metrics"] == {"loss": "NaN", "top": "Infinity"}
    assert json.loads(body)["data"]["register"] is True
    _, read = open_letter(body)
    assert isinstance(read, TrainJobSucceeded)
    assert isnan(read.metrics["loss"])
    assert read.register_model


@pytest.mark.parametrize(
    ("letter", "field", "why"),
    [
        pytest.param(changed(specversion=...), "specversion", "is missing", id="no cloudevent"),
        pytest.param(changed(specversion="0.3"), "specversion", "1", id="an older cloudevents"),
        pytest.param(changed(id=""), "id", "at least 1", id="no id"),
        pytest.param(changed(id="a\r\nb"), "id", "pattern", id="an id that would break a header"),
        pytest.param(changed(id="x" * 300), "id", "at most 256", id="an endless id"),
        pytest.param(changed(source=...), "source", "required", id="no source"),
        pytest.param(changed(type="training.trainjob.vanished.v1"), "type", "no message type", id="unknown type"),
        pytest.param(changed(type="training"), "type", "pattern", id="a type of one word"),
        pytest.param(changed(time="yesterday"), "time", "datetime", id="no time"),
        pytest.param(changed(datacontenttype="text/xml"), "datacontenttype", "pattern", id="not json"),
        pytest.param(changed(data=[1]), "data", "dictionary", id="data is a list"),
        pytest.param(changed(data={"namespace": "team-a"}), "data.name", "required", id="a field is missing"),
        pytest.param(changed(data=LETTER.data | {"uid": 7}), "data.uid", "string", id="a field of the wrong type"),
        pytest.param(changed(namespace="Team A"), "namespace", "pattern", id="no namespace can be called so"),
        pytest.param(changed(namespace="team-b"), "namespace", "differs", id="two namespaces"),
    ],
)
def test_what_is_no_letter_is_refused_by_the_field_at_fault(letter: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(Malformed) as refusal:
        open_letter(json.dumps(letter).encode())
    assert refusal.value.field == field
    assert why.lower() in refusal.value.why.lower()


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[1]", b'{"a":', b'{"specversion": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        open_letter(raw)
    assert refusal.value.field == "body"


def test_a_bad_message_in_a_good_envelope_can_still_be_answered() -> None:
    with pytest.raises(Malformed) as refusal:
        open_letter(changed(data={"namespace": "team-a"}))
    assert refusal.value.letter is not None
    assert refusal.value.letter.id == "e-1"


def test_a_letter_on_a_subject_of_another_type_or_namespace_is_a_forgery() -> None:
    for subject in ("millstream.training.trainjob.created.v1.team-a", "millstream.training.trainjob.started.v1.team-b"):
        with pytest.raises(Malformed, match="belongs on"):
            open_letter(LETTER.to_dict(), subject=subject)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LETTER.to_dict())), JSON, st.binary(max_size=40))
def test_nothing_but_malformed_is_ever_raised(attribute: str, value: Any, noise: bytes) -> None:
    headers, _ = binary(LETTER)
    for attempt in (
        lambda: open_letter(json.dumps(changed(**{attribute: value})).encode()),
        lambda: open_letter(changed(data={**LETTER.data, "uid": value})),
        lambda: open_letter(noise, headers),
        lambda: open_letter(noise),
    ):
        try:
            attempt()
        except Malformed as refusal:
            assert refusal.field
            assert refusal.why
