"""Pipelines from the terminal: compile a file, submit it, follow its run, or run it in this process."""
