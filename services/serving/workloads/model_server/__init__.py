"""The model server: one process, one model, three protocols; it must not assume anything of the platform around it."""
