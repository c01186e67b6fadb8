"""What KFP's API keeps beside runs: pipelines, versions, experiments, recurring runs; not how they are stored."""
