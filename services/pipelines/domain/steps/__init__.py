"""One step of a run as a pod: what it is told to do, and what is made of its answer."""
