"""The trainer's ports kept with libs: kinds, jobs in the store, workloads in a cluster, the runtimes it ships."""
