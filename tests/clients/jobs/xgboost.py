"""An XGBoostJob's program: the master runs the tracker too, and all replicas train one model on shards of their own."""

import os
import socket

import numpy as np
import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

rank, size, port = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ["MASTER_PORT"])
master = socket.gethostbyname(os.environ["MASTER_ADDR"])
if rank == 0:
    tracker = RabitTracker(n_workers=size, host_ip=master, port=port)
    tracker.start()
about = {"dmlc_communicator": "rabit", "dmlc_tracker_uri": master, "dmlc_tracker_port": port, "dmlc_retry": 60}
with collective.CommunicatorContext(**about):
    chance = np.random.default_rng(rank)
    features = chance.normal(size=(200, 4))
    wanted = (features.sum(axis=1) > 0).astype(int)
    history = {}
    xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2},
        data := xgboost.DMatrix(features, wanted),
        8,
        evals=[(data, "train")],
        evals_result=history,
        verbose_eval=False,
    )
    losses = history["train"]["logloss"]
    print("rank", collective.get_rank(), "of", collective.get_world_size(), "loss", losses[0], losses[-1], flush=True)
if rank == 0:
    tracker.wait_for()
