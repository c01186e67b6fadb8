"""The labels, conditions and reasons of Katib's objects, under the names that its clients look for."""

EXPERIMENT = "katib.kubeflow.org/experiment"
TRIAL = "katib.kubeflow.org/trial"
NUMBER = "millstream.dev/trial-number"

CREATED, RUNNING, RESTARTING = "Created", "Running", "Restarting"
SUCCEEDED, FAILED, KILLED = "Succeeded", "Failed", "Killed"
METRICS_UNAVAILABLE = "MetricsUnavailable"

GOAL_REACHED = "ExperimentGoalReached"
MAX_TRIALS_REACHED = "ExperimentMaxTrialsReached"
SEARCHED = "ExperimentSuggestionEndReached"
EXPERIMENT_FAILED = "ExperimentFailed"

TRAINJOB_NAME = "jobset.sigs.k8s.io/jobset-name"
REPLICATED_JOB = "jobset.sigs.k8s.io/replicatedjob-name"
JOB_ROLE = "training.kubeflow.org/job-role"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

STDOUT = "StdOut"
UNAVAILABLE = "unavailable"
"""What Katib has for a figure that is no number."""
