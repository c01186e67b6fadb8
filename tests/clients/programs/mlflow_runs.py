"""What MLflow's own client finds on a server; run in the clients' environment."""

import json
import sys

from mlflow import MlflowClient

given = json.loads(sys.argv[1])
client = MlflowClient(tracking_uri=given["uri"])
experiments = client.search_experiments(filter_string=f"name = '{given['experiment']}'")
found = [run for each in experiments for run in client.search_runs([each.experiment_id])]
print("RESULT " + json.dumps({"runs": [
    {
        "id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "params": run.data.params,
        "metrics": run.data.metrics, "tags": run.data.tags,
        "took_ms": (run.info.end_time or 0) - run.info.start_time,
    }
    for run in found
]}))  # fmt: skip
