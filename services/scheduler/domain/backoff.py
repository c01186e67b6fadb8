"""How long a workload waits after a failed try: twice as long each time, up to a limit (Kueue's requeuingStrategy)."""

from services.scheduler.domain.model import Rules


def retry_at(rules: Rules, tries: int, now: int) -> int:
    """When the next try may be, after `tries` failed ones. No chance in it: the same facts give the same time."""
    return now + min(rules.requeue_max_ms, rules.requeue_base_ms * 2 ** min(tries - 1, 30))
