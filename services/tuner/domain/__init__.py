"""What an Experiment looks for, what comes next and how it ends: pure functions over manifests and frozen values."""
