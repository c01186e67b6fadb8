"""How far a service is behind its bus and how whole the broker's streams are: what monitoring asks, and nobody else."""

from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from libs.bus.messages import Lag
from libs.bus.topology import DEAD, DEAD_PREFIX, STREAM


async def lag_of(js: JetStreamContext, consumer: str, *, hears: bool) -> Lag:
    """Three questions to the broker, two for a service that hears nothing. Raises nats' errors."""
    stream = await js.stream_info(STREAM)
    dead = await js.stream_info(DEAD, subjects_filter=f"{DEAD_PREFIX}.{consumer}.>")
    pending = unacked = redelivered = 0
    if hears:
        try:
            found = await js.consumer_info(STREAM, consumer)
            pending, unacked = found.num_pending or 0, found.num_ack_pending or 0
            redelivered = found.num_redelivered or 0
        except NotFoundError:  # it is about to be made again, from the stream's start
            pending = stream.state.messages
    return Lag(
        pending=pending,
        unacked=unacked,
        redelivered=redelivered,
        dead=sum((dead.state.subjects or {}).values()),
        stream_messages=stream.state.messages,
        stream_bytes=stream.state.bytes,
        replicas_missing=_missing(stream),
    )


def _missing(stream: StreamInfo) -> int:
    peers = (stream.cluster.replicas if stream.cluster else None) or []
    whole = 1 + sum(1 for peer in peers if peer.current and not peer.offline)
    return max(0, (stream.config.num_replicas or 1) - whole)
