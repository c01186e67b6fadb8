"""A run that takes up what another has done, and what a run would do before it does it. Neither is in KFP's API."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from libs.base.errors import BadRequest
from services.pipelines.domain.catalog import forms, run_view
from services.pipelines.domain.engine.forking import NoSuchStep, paths_of
from services.pipelines.domain.runs import NewRun, Run
from services.pipelines.handlers import lending, sources
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.handlers.runs import PLURAL, asked, placed
from services.pipelines.ports import Rehearsal


@dataclass(frozen=True)
class Forks:
    """Answers are objects in JSON; raises ApiError for whatever is refused."""

    means: Means
    rehearsal: Rehearsal

    async def dry_run(self, user: Any, form: forms.RunForm) -> Object:
        """Of a run as KFP's API is asked for one."""
        new, source = await asked(self.means, user, form)
        return await self._planned(new, source)

    async def fork(self, user: Any, id: str, form: forms.ForkForm) -> Object:
        """Finished steps of the run `id` are kept where place, code and inputs are the same, but for `steps` and what
        follows from them."""
        async with self.means.look() as needs:
            old: Run = there(await needs.runs.get(id), "run", id)
        await self.means.allow(user, "get", PLURAL, old.namespace, old.name)
        await self.means.allow(user, "create", PLURAL, old.namespace, "")
        source = await self._source(user, old, form)
        await lending.check(self.means, user, old.namespace, source.compiled, old.service_account)
        new = self._new(old, source, form)
        if form.dry_run:
            return await self._planned(new, source)
        async with self.means.begin() as (needs, say):
            experiment = await placed(needs, say, old.namespace, old.experiment_id)
            spec = await needs.catalog.keep(source.document)
            run = await needs.runs.create(replace(new, spec=spec, experiment_id=experiment.id))
        return run_view.shown(run, source.document.shown())

    async def _source(self, user: Any, old: Run, form: forms.ForkForm) -> sources.Chosen:
        """The pipeline that was sent, else the one of the earlier run."""
        if form.pipeline_spec is not None or form.pipeline_version_reference or form.pipeline_version_id:
            return await sources.chosen(self.means, user, form)
        async with self.means.look() as needs:
            document = there(await needs.catalog.document(old.spec), "compiled pipeline", old.spec)
        return sources.Chosen(*await self.means.check(document))

    def _new(self, old: Run, source: sources.Chosen, form: forms.ForkForm) -> NewRun:
        config = form.runtime_config or forms.RuntimeConfig()
        known = source.compiled.root.inputs.parameters
        before = {name: value for name, value in old.parameters.items() if name in known}
        given = config.model_copy(update={"parameters": {**before, **(config.parameters or {})}})
        try:
            anew = paths_of(source.compiled, form.steps or ())
        except NoSuchStep as error:
            raise BadRequest(f"steps: {error}") from None
        if form.only and not anew:
            raise BadRequest("only: name in `steps` the steps that are to run")
        new = sources.options(self.means, source.compiled, config)
        return NewRun(
            namespace=old.namespace,
            name=form.display_name or f"{old.name.removesuffix(' (fork)')} (fork)"[: forms.NAME_MAX],
            spec="",
            pipeline_name=source.compiled.name,
            parameters=sources.parameters(self.means, source.compiled, given, old.namespace),
            description=form.description or "",
            service_account=old.service_account,
            pipeline_id=old.pipeline_id if source.version is None else source.version.pipeline_id,
            version_id=source.version.id if source.version else "",
            root=config.pipeline_root or old.root.removesuffix(f"/{old.id}"),
            options=replace(
                old.options,
                fork_of=old.id,
                pipeline_run="",
                anew=tuple(sorted(anew)),
                only=bool(form.only),
                queue=new.queue or old.options.queue,
                priority_class=new.priority_class or old.options.priority_class,
                fail_fast=old.options.fail_fast if config.fail_fast is None else config.fail_fast,
                cache=old.options.cache if config.caching is None else config.caching,
                timeout_s=new.timeout_s or old.options.timeout_s,
                exits_s=new.exits_s if config.exit_timeout_seconds else old.options.exits_s,
            ),
        )

    async def _planned(self, new: NewRun, source: sources.Chosen) -> Object:
        found = await self.rehearsal.rehearse(new, source.compiled)
        counts = Counter(each.decision for each in found)
        return {"tasks": [each.to_json() for each in found], "counts": dict(sorted(counts.items()))}
