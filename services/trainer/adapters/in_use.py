"""Keeps a runtime until the last job that names it has gone: clients ask for the runtime of every job they list."""

from typing import Any

from libs.resources import Kind
from libs.resources.reconcile import Context, Key, Owned, Requeue

Object = dict[str, Any]
FINALIZER = "trainer.kubeflow.org/resource-in-use"
"""Upstream's word for the same."""


class RuntimesInUse:
    """The reconciler of one kind of runtime; `jobs` is the kind of what may name one."""

    def __init__(self, kind: Kind, jobs: Kind) -> None:
        self.kind, self._jobs = kind, jobs
        self.owned = [Owned(jobs, self._named_by)]

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """Lets go of a runtime that is to be deleted when nobody names it; the end of a job wakes this again."""
        runtime = await ctx.resources.find(self.kind, *key)
        if runtime is None or not runtime["metadata"].get("deletionTimestamp"):
            return None
        page = await ctx.resources.list(self._jobs, key.namespace or None)
        if not any(self._names(job) == key for job in page.items):
            await ctx.resources.remove_finalizer(self.kind, *key, FINALIZER)
        return None

    def _named_by(self, job: Object) -> Key | None:
        """The runtime to look at: only a job that goes may set one free."""
        return self._names(job) if job["metadata"].get("deletionTimestamp") else None

    def _names(self, job: Object) -> Key | None:
        ref = job["spec"]["runtimeRef"]
        if (ref.get("kind") or "ClusterTrainingRuntime") != self.kind.kind:
            return None
        return Key(job["metadata"]["namespace"] if self.kind.namespaced else "", ref["name"])
