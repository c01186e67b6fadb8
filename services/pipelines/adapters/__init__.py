"""The ports of pipelines kept with libs: tables and their queries, pods, the loop that decides."""
