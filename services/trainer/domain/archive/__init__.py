"""What is kept of jobs whose pods are gone: logs, pods' ends, events and figures; pure bookkeeping, no storing."""
