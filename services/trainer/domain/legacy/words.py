"""The labels by which the Training Operator's clients find a job's pods; assumes nothing about who sets them."""

JOB_NAME = "training.kubeflow.org/job-name"
JOB_ROLE = "training.kubeflow.org/job-role"
OPERATOR_NAME = "training.kubeflow.org/operator-name"
REPLICA_INDEX = "training.kubeflow.org/replica-index"
REPLICA_TYPE = "training.kubeflow.org/replica-type"
UID = "millstream.dev/legacyjob-uid"
MASTER = "master"
NAME_LENGTH_MAX = 50
"""`<name>-launcher-<index>` is a host name, 63 letters at most."""
