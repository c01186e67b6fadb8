"""Kubernetes for a service's own workloads: apply, watch, logs; the home of the client, which it loads late."""

from libs.cluster.client import Cluster
from libs.cluster.resource import (
    CONFIGMAP,
    DEPLOYMENT,
    ENDPOINTSLICE,
    EVENT,
    HTTPROUTE,
    JOB,
    LEASE,
    NAMESPACE,
    NODE,
    PERSISTENTVOLUMECLAIM,
    POD,
    SECRET,
    SERVICE,
    SERVICEACCOUNT,
    STATEFULSET,
    Resource,
    resource_of,
)

__all__ = [
    "CONFIGMAP",
    "DEPLOYMENT",
    "ENDPOINTSLICE",
    "EVENT",
    "HTTPROUTE",
    "JOB",
    "LEASE",
    "NAMESPACE",
    "NODE",
    "PERSISTENTVOLUMECLAIM",
    "POD",
    "SECRET",
    "SERVICE",
    "SERVICEACCOUNT",
    "STATEFULSET",
    "Cluster",
    "Resource",
    "resource_of",
]
