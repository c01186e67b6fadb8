"""A decision as the result of the step that waits for it."""

from dataclasses import replace

import pytest
from millstream.pipelines.inprocess import asked

from services.pipelines.domain.gates import IMAGE
from services.pipelines.domain.steps.values import StepOrder

GATE = StepOrder(
    run_id="r",
    namespace="team",
    uid="u",
    attempt=1,
    path="root/gate",
    name="gate",
    component="gate",
    image=IMAGE,
    command=("wait-for-approval", "Release it?"),
    executor_input={"inputs": {"parameterValues": {"reject_fails": True}}},
    parameters={"decision": "STRING", "by": "STRING"},
)


def test_a_run_without_a_platform_asks_at_the_terminal() -> None:
    questions: list[str] = []

    def yes(question: str) -> str:
        questions.append(question)
        return "y"

    result = asked(GATE, yes)
    assert questions == ["gate: Release it? Approve? [y/N] "]
    assert result.succeeded and result.values["decision"] == "approved" and set(result.values) == {"decision", "by"}


@pytest.mark.parametrize("answer", ["n", "", "perhaps"])
def test_whatever_is_no_yes_is_a_rejection(answer: str) -> None:
    result = asked(GATE, lambda question: answer)
    assert not result.succeeded and result.error.startswith("rejected by ")
    goes_on = replace(GATE, executor_input={"inputs": {"parameterValues": {"reject_fails": False}}})
    assert asked(goes_on, lambda question: answer).values["decision"] == "rejected"


def test_nobody_at_the_terminal_approves_nothing() -> None:
    def nobody(question: str) -> str:
        raise EOFError

    assert asked(GATE, nobody).error.endswith("no terminal to ask at")
