"""Streams Parquet and Arrow files from S3 or disk: every row once, in a seeded order, resumable to the row.

    from millstream.data import Stream
    stream = Stream("s3://data/tokens/", columns=["input_ids"], batch=32, shuffle=True, seed=7)
    for epoch in range(3):
        for batch in stream:                 # a dict of tensors
            ...
            state = stream.state_dict()      # goes into the checkpoint; stream.load_state_dict(state) continues

It needs `pyarrow` and `numpy`, and `torch` for tensors; it knows no service of the platform.
"""

from millstream.data.errors import DataError
from millstream.data.stream import Stream

__all__ = ["DataError", "Stream"]
