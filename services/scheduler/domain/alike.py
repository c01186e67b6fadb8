"""When the decision cannot tell two waiting workloads apart (Kueue's scheduling equivalence), and their order.

Two of one class differ in their name and arrival alone, so if the earlier cannot start, the later cannot either.
"""

from collections.abc import Mapping

from services.scheduler.domain.line import Key
from services.scheduler.domain.model import PodSet, Workload


def order_key(workload: Workload) -> Key:
    """Priority first, then arrival, then uid: never two alike, and the same however often it is evicted."""
    return (-workload.priority, workload.arrival, workload.uid)


def class_of(workload: Workload) -> str:
    pod_sets = ";".join(_shape(pod_set, workload.counts) for pod_set in workload.pod_sets)
    return f"{workload.namespace}/{workload.queue}/{workload.priority}/{workload.outside_evictions}/{pod_sets}"


def _shape(pod_set: PodSet, counts: Mapping[str, int]) -> str:
    count = counts.get(pod_set.name, pod_set.count)
    plain = f"{pod_set.name},{count},{pod_set.min_count},{sorted(pod_set.requests.items())}"
    if not (pod_set.node_selector or pod_set.tolerations or pod_set.topology):
        return plain
    return f"{plain},{sorted(pod_set.node_selector.items())},{pod_set.tolerations},{pod_set.topology}"
