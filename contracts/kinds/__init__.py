"""The kinds that clients write and read: one module each, plain pydantic; no module here knows who serves it."""
