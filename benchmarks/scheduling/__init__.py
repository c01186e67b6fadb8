"""What the scheduler's benchmark runs: shapes of load, and the world in which they happen."""
