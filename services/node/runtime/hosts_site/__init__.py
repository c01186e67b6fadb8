"""A folder for PYTHONPATH: its sitecustomize resolves a pod's names where no private /etc/hosts is possible."""
