"""What runs next: stories of runs, each told as the decisions that were made."""

from dataclasses import replace
from typing import Any

import pytest

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.catalog import run_view
from services.pipelines.domain.engine.machine import Machine
from services.pipelines.domain.engine.records import DAMAGED, Artifact, Error, Kind, Outputs, State, TaskRecord
from services.pipelines.domain.engine.words import Failed, RunOptions, StepEnded, StepStarted, Succeeded, Terminate
from services.pipelines.domain.ir.model import ROOT, Pipeline
from services.pipelines.domain.ir.reading import read
from services.pipelines.domain.runs import NewRun, drafted
from tests.services.pipelines.engine.specs import document, each, graph, pipeline, retried, step, task
from tests.services.pipelines.engine.world import World, facts, failed, gave

INT = "NUMBER_INTEGER"
ADD = step({"a": INT, "b": f"{INT}?"}, {"Output": INT})
SAY = step({"text": "STRING?"}, {"Output": "STRING"})
C = {"add": ADD, "say": SAY}


def adds(record: TaskRecord) -> Succeeded:
    given = record.inputs.parameters
    return Succeeded(Outputs({"Output": given["a"] + given.get("b", 0)}))


def world(
    said: Pipeline, options: RunOptions | None = None, steps: dict[str, Any] | None = None, **given: Any
) -> World:
    return World(said, facts(said, options, **given), steps or {})


def test_a_task_runs_after_its_upstream_with_what_it_gave() -> None:
    said = pipeline({"b": task("add", a=">a.Output", b=1), "a": task("add", a="@n")}, C, inputs={"n": INT})
    run = world(said, steps={"a": adds, "b": adds}, n=4).go()
    assert run.ran == ["a", "b"]
    assert repr(run.value("b")) == "5"
    assert run.records["root/b"].inputs.parameters == {"a": 4, "b": 1}


def test_a_placeholder_in_a_constant_speaks_of_the_task_s_other_inputs_and_of_the_run() -> None:
    text = "{{$.inputs.parameters['pipelinechannel--n']}} of {{$.pipeline_job_name}}"
    said = pipeline({"a": task("say", text=text, **_channel())}, C, inputs={"n": INT})
    assert world(said, n=4).go().records["root/a"].inputs.parameters["text"] == "4 of a-run"


def _channel() -> dict[str, Any]:
    return {"pipelinechannel--n": "@n"}


def test_what_a_user_says_is_never_read_as_a_placeholder() -> None:
    said = pipeline({"a": task("say", text="@s")}, C, inputs={"s": "STRING"})
    run = world(said, s="{{$.pipeline_root}}").go()
    assert run.records["root/a"].inputs.parameters["text"] == "{{$.pipeline_root}}"


def branches(n: int) -> World:
    def branch(when: str, text: str) -> dict[str, Any]:
        return task(text, when=when, n=">roll.Output")

    sub = {word: graph({"s": task("say", text=word)}, {"n": INT}, {"o": "s.Output"}) for word in ("two", "odd", "big")}
    value = "int(inputs.parameter_values['n'])"
    chosen = graph(
        {
            "two": task("two", when=f"{value} == 2", n="@n"),
            "odd": task("odd", when=f"!({value} == 2) && {value} < 5", n="@n"),
            "big": task("big", when=f"!({value} == 2) && !({value} < 5)", n="@n"),
        },
        {"n": INT},
        {"one": "two.o"},
    )
    selectors = [{"producerSubtask": word, "outputParameterKey": "o"} for word in ("two", "odd", "big")]
    chosen["dag"]["outputs"]["parameters"]["one"] = {"valueFromOneof": {"parameterSelectors": selectors}}
    chosen["outputDefinitions"]["parameters"]["one"]["parameterType"] = "STRING"
    tasks = {
        "roll": task("add", a=n),
        "choose": task("chosen", n=">roll.Output"),
        "end": task("say", text=">choose.one"),
    }
    said = pipeline(tasks, {**C, **sub, "chosen": chosen})

    def says(record: TaskRecord) -> Succeeded:
        return gave(said, record, Output=record.inputs.parameters["text"])

    return world(said, steps={"roll": adds, "s": says, "end": says}).go()


@pytest.mark.parametrize(("n", "branch"), [(2, "two"), (3, "odd"), (9, "big")])
def test_exactly_one_branch_runs_and_one_of_gives_what_it_gave(n: int, branch: str) -> None:
    run = branches(n)
    assert run.ran == ["roll", f"choose/{branch}/s", "end"]
    assert run.value("end") == branch
    skipped = {name for name in ("two", "odd", "big") if run.state(f"choose/{name}") is State.SKIPPED}
    assert skipped == {"two", "odd", "big"} - {branch}


def test_what_waits_for_a_branch_that_is_not_taken_is_left_out_and_the_run_succeeds() -> None:
    no = "inputs.parameter_values['a'] == 2"
    said = pipeline({"a": task("add", when=no, a=1), "b": task("add", "a", a=1), "c": task("add", "b", a=1)}, C)
    run = world(said).go()
    assert run.ran == [] and run.end and run.end.state is State.SUCCEEDED
    assert [run.records[f"root/{name}"].reason for name in "abc"] == [
        "ConditionFalse",
        "UpstreamSkipped",
        "UpstreamSkipped",
    ]


def loops(limit: int = 0, items: str = "l") -> Pipeline:
    inner = graph({"x": task("add", a="@j", b="@i")}, {"i": INT, "j": INT, "js": "LIST"}, {"o": "x.Output"})
    outer = graph({"in": each(task("inner", i="@i", js="@l"), "j", "js")}, {"i": INT, "l": "LIST"}, {"o": "in.o"})
    total = step({"rows": "LIST"}, {"Output": "LIST"})
    tasks = {"out": each(task("outer", l="@l"), "i", items, limit), "total": task("total", rows=">out.o")}
    return pipeline(tasks, {**C, "inner": inner, "outer": outer, "total": total}, inputs={"l": "LIST"})


def test_nested_loops_collect_lists_of_lists_in_the_order_of_their_items() -> None:
    run = world(loops(), steps={"x": adds}, l=[1, 2, 3]).go()
    assert run.records["root/total"].inputs.parameters["rows"] == [[2, 3, 4], [3, 4, 5], [4, 5, 6]]
    assert run.records["root/out"].kind is Kind.LOOP
    assert run.records["root/out/1"].inputs.parameters == {"i": 2}, "an iteration does not copy what the loop has"


def test_a_loop_runs_no_more_at_a_time_than_its_limit() -> None:
    run = world(loops(limit=2), steps={"x": adds}, l=[1, 2, 3, 4])
    run.advance()
    most = 0
    while run.end is None:
        going_on = {record.path.split("/")[2] for record in run.started if "/x" in record.path}
        most = max(most, len(going_on))
        run.finish(run.started.pop(0))
        run.advance()
    assert most == 2 and len(run.ran) == 17


def test_a_loop_over_nothing_succeeds_with_nothing() -> None:
    run = world(loops(), l=[]).go()
    assert run.ran == ["total"] and run.state("out") is State.SUCCEEDED


def test_a_loop_over_what_is_no_list_fails_with_the_reason() -> None:
    said = pipeline({"m": task("say"), "l": each(task("add", l=">m.Output"), "a", "l")}, C)
    run = world(said, steps={"m": lambda record: Succeeded(Outputs({"Output": "no list"}))}).go()
    assert (
        run.end and run.end.error and "`l` holds no list that could be gone through: no list" in run.end.error.message
    )


def test_objects_are_gone_through_with_their_parts() -> None:
    said = document(
        {"l": each(task("one"), "i", '[{"a": 1, "b": 2}, {"a": 3}]')}, {**C, "one": graph({}, {"i": "STRUCT"})}
    )
    inputs = {"a": {"componentInputParameter": "i", "parameterExpressionSelector": 'parseJson(string_value)["a"]'}}
    said["components"]["one"]["dag"]["tasks"]["x"] = {"componentRef": {"name": "add"}, "inputs": {"parameters": inputs}}
    run = world(read(*canonical(said))).go()
    assert [run.records[f"root/l/{n}/x"].inputs.parameters["a"] for n in (0, 1)] == [1, 3]


def test_artifacts_are_gone_through_and_collected_flat() -> None:
    make = step({"n": INT}, {"d": "system.Dataset"})
    use = step({"d": "system.Dataset"}, {"m": "system.Model"})
    many = step({"ms": "system.Model*"}, {"Output": INT})
    body = graph({"make": task("make", n="@n")}, {"n": INT})
    body["dag"]["outputs"]["artifacts"] = {"d": {"artifactSelectors": [_artifact("make", "d")]}}
    body["outputDefinitions"] = {"artifacts": {"d": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    body["outputDefinitions"]["artifacts"]["d"]["isArtifactList"] = True
    through = {
        "componentRef": {"name": "use"},
        "artifactIterator": {"itemInput": "d", "items": {"inputArtifact": "ds"}},
    }
    tasks: dict[str, Any] = {
        "loop": each(task("body"), "n", "[1, 2, 3]"),
        "through": {**through, "inputs": {"artifacts": {"ds": _from("loop", "d")}}},
        "end": {"componentRef": {"name": "many"}, "inputs": {"artifacts": {"ms": _from("through", "m")}}},
    }
    run = world(pipeline(tasks, {"make": make, "use": use, "many": many, "body": body})).go()
    uris = [each.uri for each in run.records["root/end"].inputs.artifacts["ms"]]
    assert uris == [f"s3://bucket/{ROOT}/through/{n}/m" for n in range(3)]
    given = run.records["root/through/1"].inputs.artifacts["d"]
    assert given == (Artifact("d", f"s3://bucket/{ROOT}/loop/1/make/d", "system.Dataset"),)


def _artifact(producer: str, key: str) -> dict[str, str]:
    return {"producerSubtask": producer, "outputArtifactKey": key}


def _from(producer: str, key: str) -> dict[str, Any]:
    return {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": key}}


def guarded() -> Pipeline:
    inside = graph({"x": task("say"), "y": task("say", "x")})
    status = step({"status": "TASK_FINAL_STATUS?"}, {})
    tasks = {"guard": task("inside"), "clean": task("tell", always=True, status="!guard"), "next": task("say", "guard")}
    return pipeline(tasks, {**C, "inside": inside, "tell": status})


def test_an_exit_task_runs_after_a_failure_and_is_told_of_it_and_the_run_has_failed() -> None:
    run = world(guarded(), steps={"x": lambda record: failed("no disk")}).go()
    assert run.ran == ["guard/x", "clean"]
    told = run.records["root/clean"].inputs.parameters["status"]
    assert told["state"] == "FAILED" and told["pipelineTaskName"] == "guard"
    assert told["error"] == {"code": 13, "message": "task `guard/x` failed: no disk"}
    assert run.end and (run.end.state, run.end.error and run.end.error.path) == (State.FAILED, "root/guard/x")
    assert run.records["root/next"].reason == "UpstreamFailed"


def test_an_exit_task_runs_after_success_too() -> None:
    run = world(guarded()).go()
    assert run.records["root/clean"].inputs.parameters["status"]["state"] == "SUCCEEDED"
    assert run.end and run.end.state is State.SUCCEEDED


def test_a_failure_leaves_out_what_follows_from_it_and_nothing_else() -> None:
    tasks = {"a": task("say"), "b": task("say"), "after-a": task("say", "a"), "after-b": task("say", "b")}
    run = world(pipeline(tasks, C), steps={"a": lambda record: failed()}).go()
    assert set(run.ran) == {"a", "b", "after-b"}
    fast = world(pipeline(tasks, C), RunOptions(fail_fast=True), {"a": lambda record: failed()}).go()
    assert set(fast.ran) == {"a", "b"} and fast.records["root/after-b"].reason == "FailFast"


def test_a_failed_attempt_is_made_again_as_often_and_as_late_as_the_user_says() -> None:
    said = pipeline({"a": retried(task("say"), 3, "10s", 2.0, "15s")}, C)
    run = world(said, steps={"a": lambda record: failed() if record.attempt < 4 else gave(said, record)}).go()
    assert run.ran == ["a"] * 4
    assert (run.now - run.run.created_at).total_seconds() == 10 + 15 + 15
    last = run.records["root/a"]
    assert (last.state, last.attempt, last.failures, last.error) == (State.SUCCEEDED, 4, 3, None)


def test_why_each_try_failed_is_kept_also_when_the_run_is_taken_up_again_and_goes_well() -> None:
    said = pipeline({"a": retried(task("say"), 1, "10s")}, C)
    run = world(said, steps={"a": lambda record: failed(f"broke {record.attempt}")}).go()
    run.end, run.steps = None, {}
    run.machine.retry()
    run.go()
    last = TaskRecord.from_json(run.records["root/a"].to_json())
    assert (last.state, last.error, last.attempt) == (State.SUCCEEDED, None, 3)
    assert [(attempt, error.message) for _, attempt, error in last.tries] == [(1, "broke 1"), (2, "broke 2")]
    whole = drafted(NewRun("default", "r", "", "p"), run.run.id, 0, "s3://b")
    over = replace(whole, state="FAILED", error="it broke", history=((0, "PENDING"), (1, "FAILED")))
    assert [each.get("error", {}).get("message") for each in run_view.shown(over)["state_history"]] == [
        None,
        "it broke",
    ]
    shown = run_view.detail(whole, last, {})
    told = [each["error"]["message"] for each in shown["state_history"] if "error" in each]
    assert told == ["broke 1", "broke 2"]
    pods = [shown["executor_detail"]["main_job"], *shown["executor_detail"]["failed_main_jobs"]]
    assert len(set(pods)) == 3 and all(pods), "the pods of the failed tries are not told"


def test_retries_end_and_what_is_final_is_not_tried_again() -> None:
    said = pipeline({"a": retried(task("say"), 2)}, C)
    assert world(said, steps={"a": lambda record: failed()}).go().ran == ["a"] * 3
    assert world(said, steps={"a": lambda record: failed(final=True)}).go().ran == ["a"]


def test_a_lost_attempt_costs_no_retry_until_too_many_are_lost() -> None:
    said = pipeline({"a": task("say")}, C)
    run = world(
        said, steps={"a": lambda record: failed("node lost", lost=True) if record.attempt < 4 else gave(said, record)}
    ).go()
    assert run.end and run.end.state is State.SUCCEEDED and run.records["root/a"].losses == 3
    run = world(said, steps={"a": lambda record: failed("node lost", lost=True)}).go()
    assert run.ran == ["a"] * 4 and run.end and run.end.error and "node lost" in run.end.error.message


def test_a_second_result_and_one_of_an_older_attempt_change_nothing() -> None:
    said = pipeline({"a": retried(task("say"), 1)}, C)
    run = world(said)
    run.advance()
    run.machine.tell(StepEnded("root/a", 1, failed()))
    run.advance()
    assert not run.machine.expects("root/a", 1) and run.machine.expects("root/a", 2)
    for late in (StepEnded("root/a", 1, failed()), StepStarted("root/a", 1), StepEnded("root/gone", 1, failed())):
        run.machine.tell(late)
    assert run.advance() == []
    run.machine.tell(StepEnded("root/a", 2, gave(said, run.records["root/a"])))
    run.machine.tell(StepEnded("root/a", 2, failed()))
    run.advance()
    assert run.end and run.end.state is State.SUCCEEDED


def test_termination_stops_what_runs_and_begins_nothing() -> None:
    run = world(loops(limit=1), l=[1, 2])
    run.advance()
    run.machine.tell(Terminate("enough"))
    run.advance()
    assert [record.path for record in run.stopped] == ["root/out/0/in/0/x", "root/out/0/in/1/x"]
    assert run.end and run.end.state is State.CANCELED and run.machine.due() is None
    assert {record.state for record in run.records.values()} == {State.CANCELED}
    assert run.advance(5) == []


def test_a_run_that_takes_too_long_fails_and_says_so() -> None:
    said = pipeline({"a": task("say"), "b": task("say", "a")}, C)
    run = world(said, RunOptions(deadline_s=60))
    run.advance()
    due = run.machine.due()
    assert due and (due - run.now).total_seconds() == 60
    run.advance(60)
    assert run.end and run.end.error and run.end.error.message == "the run took longer than 60 s"
    assert (run.end.state, run.state("a")) == (State.FAILED, State.CANCELED)


def test_the_author_of_a_pipeline_may_limit_its_runs_too() -> None:
    said = replace(pipeline({"a": task("say")}, C), config={"activeDeadlineSeconds": 30})
    for asked, limit in ((None, 30), (10, 10), (90, 30)):
        run = world(said, RunOptions(deadline_s=asked))
        run.advance()
        due = run.machine.due()
        assert due and (due - run.now).total_seconds() == limit


def test_an_input_that_is_not_there_fails_the_task_before_it_runs() -> None:
    no = "inputs.parameter_values['a'] == 2"
    tasks = {"a": task("add", when=no, a=1), "b": task("add", always=True, a=">a.Output")}
    run = world(pipeline(tasks, C)).go()
    assert run.ran == [] and run.end and run.end.error
    assert run.end.error.message == "task `b` failed: input `a` has no value: the task `a` gave no `Output`"


def test_a_value_of_the_wrong_type_fails_the_task_that_gets_it() -> None:
    said = pipeline({"a": task("say"), "b": task("add", a=">a.Output")}, C)
    run = world(said, steps={"a": lambda record: gave(said, record, Output="12")}).go()
    assert repr(run.records["root/b"].inputs.parameters["a"]) == "12", "a text that holds the number, as KFP has it"
    run = world(said).go()
    assert run.end and run.end.error and '"said" is not a whole number' in run.end.error.message


def test_a_cached_result_says_whose_it_is() -> None:
    said = pipeline({"a": task("say")}, C)
    run = world(said, steps={"a": lambda record: Succeeded(Outputs({"Output": "old"}), cached_from="uid")}).go()
    assert (run.records["root/a"].cached_from, run.records["root/a"].reason) == ("uid", "Cached")


def test_a_run_taken_up_again_keeps_what_succeeded_and_does_the_rest_anew() -> None:
    tasks = {
        "a": task("say"),
        "l": each(task("body"), "n", "[1, 2, 3]"),
        "after": task("say", "l"),
        "exit": task("say", "l", always=True),
    }
    said = pipeline(
        tasks, {**C, "body": graph({"x": task("add", a="@n"), "y": task("add", a=">x.Output")}, {"n": INT})}
    )
    broken = {"y": lambda record: failed() if record.inputs.parameters["a"] == 2 else adds(record), "x": adds}
    run = world(said, steps=broken).go()
    assert run.end and run.end.state is State.FAILED
    run.ran, run.end, run.steps = [], None, {"x": adds, "y": adds}
    run.machine.retry()
    run.go()
    assert run.ran == ["l/1/y", "after", "exit"]
    assert run.end and run.end.state is State.SUCCEEDED
    assert (run.records["root/l/1/y"].attempt, run.records["root/exit"].attempt) == (2, 2)


def test_a_retry_makes_an_input_anew_whose_bytes_were_damaged_and_all_that_came_of_it() -> None:
    def read(record: TaskRecord) -> Failed:
        why = f"input 'm' at {record.inputs.artifacts['m'][0].uri} is not what was stored"
        return Failed(Error(why, reason=DAMAGED), final=True)

    def wrote(record: TaskRecord) -> Succeeded:
        return Succeeded(Outputs({}, {"m": (Artifact("m", f"s3://b/{record.name}/{record.attempt}"),)}))

    kinds = {**C, "write": step({}, {"m": "system.Model"}), "read": step({"m": "system.Model"})}
    tasks = {
        "a": task("write"),
        "other": task("write"),
        "reads-a": {**task("read", "a"), "inputs": {"artifacts": {"m": _from("a", "m")}}},
        "after-a": task("say", "a"),
        "after-other": task("say", "other"),
    }
    run = world(pipeline(tasks, kinds), steps={"a": wrote, "other": wrote, "reads-a": read}).go()
    assert run.end and run.end.state is State.FAILED
    run.ran, run.end, run.steps = [], None, {"a": wrote}
    run.machine.retry()
    assert sorted(run.go().ran) == ["a", "after-a", "reads-a"]
    assert run.records["root/reads-a"].inputs.artifacts["m"][0].uri == "s3://b/a/2"


def test_a_terminated_run_can_be_taken_up_and_one_that_succeeded_stays_as_it_is() -> None:
    said = pipeline({"a": task("say"), "b": task("say", "a")}, C)
    run = world(said)
    run.advance()
    run.machine.tell(Terminate())
    run.advance()
    run.end, run.started = None, []
    run.machine.retry()
    assert run.go().ran == ["a", "b"]
    assert [record.state for record in run.records.values()] == [State.SUCCEEDED] * 3
    run.machine.retry()
    assert run.advance() == []


def test_a_record_reads_as_it_was_written() -> None:
    run = world(guarded(), steps={"x": lambda record: failed("no disk")}).go()
    for record in run.records.values():
        assert TaskRecord.from_json(record.to_json()) == record


def test_the_end_is_said_again_by_whoever_takes_over_a_run_that_is_over() -> None:
    run = world(pipeline({"a": task("say")}, C)).go()
    assert Machine.load(run.pipeline, run.run, run.records.values()).advance(run.now) == [run.end]
