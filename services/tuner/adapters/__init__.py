"""The tuner's ports kept with libs: its kinds, their reconcilers, and the logs of what its trials run."""
