"""Waits for a listener of a process or a task under test; it must not assume what is spoken there."""

import asyncio


async def until_open(port: int, timeout_s: float = 30) -> None:
    """Until somebody listens on the port of 127.0.0.1. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
