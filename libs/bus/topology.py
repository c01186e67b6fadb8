"""The streams and consumers that the platform needs, made where they are missing and never overwritten."""

import logging
from collections.abc import Sequence

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import BadRequestError, NotFoundError

from libs.bus.tuning import Tuning

STREAM, DEAD = "millstream", "millstream-dead"
DEAD_PREFIX = "dead"
LOG = logging.getLogger(__name__)


def stream_config(tuning: Tuning) -> StreamConfig:
    """Everything that is said: transport and a few days of history, each message once."""
    return StreamConfig(
        name=STREAM,
        subjects=[f"{STREAM}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=tuning.retain_s,
        duplicate_window=tuning.duplicate_window_s,
        num_replicas=tuning.replicas,
        allow_direct=True,
    )


def dead_config(tuning: Tuning) -> StreamConfig:
    """What was given up: kept until someone replays or discards it."""
    return StreamConfig(
        name=DEAD,
        subjects=[f"{DEAD_PREFIX}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        duplicate_window=tuning.duplicate_window_s,
        num_replicas=tuning.replicas,
        allow_direct=True,
    )


def consumer_config(name: str, hears: Sequence[str], tuning: Tuning) -> ConsumerConfig:
    """The durable pull consumer of one service. How often to redeliver is decided by libs.bus, not by the broker."""
    return ConsumerConfig(
        durable_name=name,
        filter_subjects=[f"{STREAM}.{type}.*" for type in hears],
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=tuning.ack_wait_s,
        max_ack_pending=tuning.max_ack_pending,
        max_deliver=-1,
        num_replicas=tuning.replicas,
    )


async def ensure_streams(js: JetStreamContext, tuning: Tuning) -> str:
    """Both streams are there afterwards; returns the identity of the first."""
    info = await _ensure_stream(js, stream_config(tuning))
    await _ensure_stream(js, dead_config(tuning))
    return info.created.isoformat() if info.created else ""


async def _ensure_stream(js: JetStreamContext, config: StreamConfig) -> StreamInfo:
    assert config.name
    try:
        return await js.stream_info(config.name)
    except NotFoundError:
        pass
    try:
        return await js.add_stream(config)
    except BadRequestError:  # another service made it first, with other settings: theirs stand
        LOG.warning("stream %s exists with other settings; they are left as they are", config.name)
        return await js.stream_info(config.name)


async def ensure_consumer(js: JetStreamContext, config: ConsumerConfig) -> None:
    """The consumer is there afterwards and hears at least what `config` says.

    It is widened and never narrowed: while an upgrade rolls, replicas of old and new code share it, and what one of
    them took away the broker would skip for the other for ever. A service lets pass what it does not know.
    """
    assert config.durable_name
    try:
        found = (await js.consumer_info(STREAM, config.durable_name)).config
    except NotFoundError:
        await js.add_consumer(STREAM, config)
        return
    heard, wanted = set(_filters(found)), set(_filters(config))
    if not wanted <= heard:
        await js.add_consumer(STREAM, config.evolve(filter_subjects=sorted(heard | wanted)))


def _filters(config: ConsumerConfig) -> Sequence[str]:
    return config.filter_subjects or ([config.filter_subject] if config.filter_subject else [])
