"""The labels, annotations and names that clients of a TrainJob look for; assumes nothing about who sets them."""

JOB_NAME = "jobset.sigs.k8s.io/jobset-name"
REPLICATED_JOB = "jobset.sigs.k8s.io/replicatedjob-name"
JOB_INDEX = "jobset.sigs.k8s.io/job-index"
ANCESTOR_STEP = "trainer.kubeflow.org/trainjob-ancestor-step"
FRAMEWORK = "trainer.kubeflow.org/framework"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
UID = "millstream.dev/trainjob-uid"
MANAGED_BY = {"app.kubernetes.io/managed-by": "millstream-trainer"}

MODEL_NAME = "millstream.dev/model-name"
MODEL_URI = "millstream.dev/model-uri"
MODEL_FORMAT = "millstream.dev/model-format"
MODEL_VERSION = "millstream.dev/model-version"
DATASET_URI = "millstream.dev/dataset-uri"
SERVE_AS = "millstream.dev/serve-as"
PRIORITY = "millstream.dev/priority"
MAX_RESTARTS = "millstream.dev/max-restarts"
"""How often a job may begin again, whatever made it fail; 0 for never. If absent, only what the cluster or a signal did
to it is made good, three times without a new checkpoint in between."""
HANG_TIMEOUT = "millstream.dev/hang-timeout"
"""Seconds after a report of progress in which the next one has to come, else the job counts as hung and begins again;
never if absent."""
MIN_NODES, MAX_NODES = "millstream.dev/min-nodes", "millstream.dev/max-nodes"
"""Between how many nodes an elastic job may run."""
FORMATS = ("pytorch", "sklearn", "xgboost", "onnx")

NODE = "node"
LAUNCHER = "launcher"
TRAINER_STEP = "trainer"
NAME_LENGTH_MAX = 50
"""`<name>-launcher-0-<index>` is a pod's host name, 63 letters at most."""


def child_job(name: str, role: str = NODE) -> str:
    """The batch/v1 Job of a TrainJob's training nodes, or of another role's pods."""
    return f"{name}-{role}-0"


def token_secret(name: str) -> str:
    """The Secret that lets the job's pods report progress, and the job's alone."""
    return f"{name}-progress"


def annotation(obj: dict, key: str) -> str | None:
    return ((obj.get("metadata") or {}).get("annotations") or {}).get(key) or None
