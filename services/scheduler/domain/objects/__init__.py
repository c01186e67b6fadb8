"""Between Kubernetes objects and the words of the decision: plain reading and writing, nothing is decided here."""
