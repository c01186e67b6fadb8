"""What a user of the Kubeflow SDK does around the README's lines that fine-tune a model, in its own environment."""

import json
import sys

snippet = {}
exec(json.loads(sys.argv[1])["lines"], snippet)
client, name = snippet["client"], snippet["name"]
job = client.wait_for_job_status(name, status={"Complete", "Failed"}, timeout=400)
logs = {step.name: list(client.get_job_logs(name, step=step.name)) for step in job.steps}
print("RESULT " + json.dumps({"name": name, "status": job.status, "nodes": job.num_nodes, "logs": logs}))
