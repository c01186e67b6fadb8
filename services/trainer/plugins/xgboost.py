"""XGBoost: the first process runs the tracker, all meet there (xgboost.collective)."""

from collections.abc import Mapping

from services.trainer.domain import rendezvous
from services.trainer.domain.frameworks import Layout
from services.trainer.plugins.several import ByVariables


class XGBoost(ByVariables):
    policy = "xgboost"
    rank = "DMLC_TASK_ID"

    def told(self, layout: Layout, processes: int) -> Mapping[str, str]:
        return rendezvous.xgboost(layout.host(0), layout.port, layout.num_nodes * processes)
