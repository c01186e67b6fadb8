"""Two versions of one small service, to run side by side."""
