"""What a predictor is and how its rollout reads; pure functions over plain objects, no cluster and no store."""
