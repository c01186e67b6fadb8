"""Every message type is found, named by the rules, and defined where its name says."""

import pytest

from contracts.envelope import AppliedEvent, Command, RejectedEvent, registry, subject_for
from contracts.letters import TYPE_PATTERN
from contracts.messages import ApplyCommand


@pytest.mark.parametrize("type", registry())
def test_a_type_is_defined_in_the_module_that_its_name_says(type: str) -> None:
    message = registry()[type]
    domain, _, _, version = type.split(".")
    place = "commands" if issubclass(message, Command) else "events"
    assert message.__module__ == f"contracts.{place}.{domain}.{version}"
    assert message.__doc__


@pytest.mark.parametrize("type", registry())
def test_a_facts_verb_is_a_participle_and_a_commands_an_imperative(type: str) -> None:
    verb = type.split(".")[2]
    is_command = issubclass(registry()[type], Command)
    assert verb.endswith(("ed", "y")) != is_command or (is_command and verb == "apply")


@pytest.mark.parametrize("type", [type for type, m in registry().items() if issubclass(m, ApplyCommand)])
def test_every_command_can_be_answered(type: str) -> None:
    noun = type.rsplit(".", 2)[0]
    assert issubclass(registry()[f"{noun}.applied.v1"], AppliedEvent)
    assert issubclass(registry()[f"{noun}.rejected.v1"], RejectedEvent)
    assert f"{noun}.deleted.v1" in registry()


@pytest.mark.parametrize(
    ("type", "namespace"), [("a.b", "x"), ("a.b.c.v0", "x"), ("a.b.c.v1", "x.y"), ("a.b.c.v1", ">")]
)
def test_a_subject_that_nats_would_misread_is_refused(type: str, namespace: str) -> None:
    with pytest.raises(ValueError, match=r"type|namespace"):
        subject_for(type, namespace)


def test_the_registry_is_in_order_and_cannot_be_changed() -> None:
    assert list(registry()) == sorted(registry())
    with pytest.raises(TypeError):
        registry()["a"] = AppliedEvent  # type: ignore[index]
    assert TYPE_PATTERN.startswith("^")
