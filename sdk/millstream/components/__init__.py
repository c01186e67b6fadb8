"""Components for pipelines: tables, checks, features, training, tuning, judging, releasing, drift; with KFP's own SDK.

    from kfp import dsl
    from millstream.components import split_table, train_sklearn

Each is a normal component of `kfp`, which must be installed (the platform itself does not need it), and lies compiled
beside this file in `compiled/<name>.yaml`, for `kfp.components.load_component_from_file`. Those that talk to a platform
do it as their pod's service account.
"""

from millstream.components.approval import wait_for_approval
from millstream.components.checking import describe_table, drift_report, infer_schema, validate_table
from millstream.components.features import apply_features, tabular_features
from millstream.components.judging import batch_predict, evaluate, pick_best
from millstream.components.releasing import check_canary, deploy_model, promote_model, register_model
from millstream.components.tables import convert_table, read_table, sample_data, split_table, write_table
from millstream.components.training import train_sklearn, train_torch, train_xgboost
from millstream.components.tuning import tune

__all__ = [
    "apply_features",
    "batch_predict",
    "check_canary",
    "convert_table",
    "deploy_model",
    "describe_table",
    "drift_report",
    "evaluate",
    "infer_schema",
    "pick_best",
    "promote_model",
    "read_table",
    "register_model",
    "sample_data",
    "split_table",
    "tabular_features",
    "train_sklearn",
    "train_torch",
    "train_xgboost",
    "tune",
    "validate_table",
    "wait_for_approval",
    "write_table",
]
