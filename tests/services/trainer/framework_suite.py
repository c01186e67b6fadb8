"""What every framework plugin has to keep: inherit `FrameworkSuite`, say what is yours, and its tests are run on it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from contracts.kinds.trainingruntime import runtime_error
from services.trainer.adapters.shipped import shipped
from services.trainer.domain import workload
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.frameworks import Framework, framework_for
from services.trainer.domain.runtime_rules import runtime_causes
from services.trainer.plugins import FRAMEWORKS
from tests.services.trainer.builders import SITE, job

Object = dict[str, Any]
TICKETS = (7, 8)


class FrameworkSuite:
    """`runtime` is the shipped runtime of the plugin, `bad_policies` what must be refused, by field."""

    framework: Framework
    runtime: str
    bad_policies: Mapping[str, Object]

    def made(self, nodes: int = 2, ticket: int = 7, **trainer: Any) -> list[Object]:
        """The child Jobs of a job on the shipped runtime, that with the user's command first."""
        trainjob = job(spec={"trainer": {"numNodes": nodes, "command": ["sh", "-c", "train"], **trainer}})
        plan = blueprint(trainjob, self.stored())
        shape = workload.shape_of(trainjob, plan, framework_for(plan.policy, FRAMEWORKS), ticket)
        return workload.child_jobs(trainjob, plan, shape, SITE)

    def stored(self) -> Object:
        return deepcopy(next(made for made in shipped() if made["metadata"]["name"] == self.runtime))

    def env(self, child: Object) -> dict[str, Any]:
        return {e["name"]: e.get("value", e.get("valueFrom")) for e in self.node(child)["env"]}

    def node(self, child: Object) -> Object:
        return next(c for c in child["spec"]["template"]["spec"]["containers"] if c["name"] == "node")

    def test_its_runtime_is_shipped_and_can_be_listed(self):
        runtime = self.stored()
        assert runtime_causes(runtime, FRAMEWORKS) == []
        assert runtime_error(runtime["spec"]) is None
        found = framework_for(runtime["spec"]["mlPolicy"], FRAMEWORKS)
        assert type(found) is type(self.framework)

    def test_the_pods_of_all_roles_are_as_many_as_the_job_has_nodes(self):
        for nodes in (1, 2, 3):
            children = self.made(nodes)
            assert sum(child["spec"]["completions"] for child in children) == nodes
            assert all(child["spec"]["parallelism"] == child["spec"]["completions"] for child in children)

    def test_two_jobs_that_run_at_one_time_meet_at_different_ports(self):
        first, second = ({p["containerPort"] for c in self.made(ticket=t) for p in self.ports(c)} for t in TICKETS)
        assert not first & second

    def ports(self, child: Object) -> list[Object]:
        return self.node(child).get("ports") or []

    def test_the_users_command_is_run_by_the_first_job_and_by_no_other(self):
        lead, *others = self.made()
        assert self.node(lead)["command"][-3:] == ["sh", "-c", "train"]
        assert all("train" not in self.node(other)["command"] for other in others)

    def test_what_the_job_says_of_its_nodes_holds_for_all_of_them(self):
        asked = {"limits": {"cpu": "3", "memory": "1Gi"}}
        children = self.made(resourcesPerNode=asked, env=[{"name": "MINE", "value": "1"}], image="my:1")
        for child in children:
            node = self.node(child)
            assert node["resources"]["limits"] == asked["limits"] and node["image"] == "my:1"
            assert self.env(child)["MINE"] == "1"

    def test_a_patch_reaches_the_role_that_it_names(self):
        names = [child["metadata"]["labels"]["jobset.sigs.k8s.io/replicatedjob-name"] for child in self.made()]
        template = {"spec": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "spot"}]}}
        jobs = [{"name": name, "template": {"spec": {"template": template}}} for name in names]
        patch = {"manager": "me", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}
        trainjob = job(spec={"runtimePatches": [patch]})
        plan = blueprint(trainjob, self.stored())
        shape = workload.shape_of(trainjob, plan, framework_for(plan.policy, FRAMEWORKS), 7)
        for child in workload.child_jobs(trainjob, plan, shape, SITE):
            pod = child["spec"]["template"]["spec"]
            assert pod["nodeSelector"] == {"disk": "ssd"} and pod["tolerations"] == [{"key": "spot"}]

    def test_the_number_of_processes_changes_what_the_nodes_are_told(self):
        told = [self.made(numProcPerNode=count) for count in (1, 2)]
        assert self.told(told[0]) != self.told(told[1])

    def told(self, children: list[Object]) -> list[Any]:
        return [(self.env(child), self.node(child)["command"]) for child in children]

    def test_every_file_that_is_mounted_is_in_the_jobs_secret(self):
        trainjob = job()
        plan = blueprint(trainjob, self.stored())
        shape = workload.shape_of(trainjob, plan, framework_for(plan.policy, FRAMEWORKS), 7)
        held = workload.secret(trainjob, "t", SITE, shape.files)["stringData"].keys()
        for child in workload.child_jobs(trainjob, plan, shape, SITE):
            volumes = child["spec"]["template"]["spec"]["volumes"]
            keys = {i["key"] for v in volumes if "secret" in v for i in v["secret"].get("items") or []}
            assert keys <= held

    def test_a_policy_that_makes_no_sense_is_refused_with_the_field_named(self):
        for field, policy in self.bad_policies.items():
            runtime = self.stored()
            runtime["spec"]["mlPolicy"][self.framework.policy] = policy
            fields = [cause.field for cause in runtime_causes(runtime, FRAMEWORKS)]
            assert f"spec.mlPolicy.{self.framework.policy}{field}" in fields, (field, fields)

    def test_unknown_keys_are_refused(self):
        if not self.framework.policy:
            pytest.skip("a runtime that names no framework has no keys of one")
        runtime = self.stored()
        runtime["spec"]["mlPolicy"][self.framework.policy] = {"speed": "high"}
        assert any(cause.field.endswith(".speed") for cause in runtime_causes(runtime, FRAMEWORKS))
