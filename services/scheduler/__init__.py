"""The scheduler: says which workloads may start; it knows what they ask for and never what they are."""
