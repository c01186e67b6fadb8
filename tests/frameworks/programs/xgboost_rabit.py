"""Boosting over two workers that have half of the rows each; the first one runs the tracker as well."""

import os
import threading

import numpy as np
import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

host, port = os.environ["DMLC_TRACKER_URI"], int(os.environ["DMLC_TRACKER_PORT"])
size, task = int(os.environ["DMLC_NUM_WORKER"]), os.environ["DMLC_TASK_ID"]
if task == "0":
    tracker = RabitTracker(host_ip="0.0.0.0", n_workers=size, port=port)
    tracker.start()
    threading.Thread(target=tracker.wait_for, daemon=True).start()

with collective.CommunicatorContext(dmlc_tracker_uri=host, dmlc_tracker_port=port, dmlc_task_id=task, dmlc_retry=30):
    rank = collective.get_rank()
    rng = np.random.default_rng(int(task))
    features = rng.normal(size=(200, 4))
    data = xgboost.DMatrix(features, features.sum(axis=1))
    history = {}
    xgboost.train(
        {"max_depth": 3, "nthread": 1}, data, 10, evals=[(data, "all")], evals_result=history, verbose_eval=False
    )
    if rank == 0:
        for step, loss in enumerate(history["all"]["rmse"]):
            print(f"size {collective.get_world_size()} step {step} loss {loss:.6f}", flush=True)
