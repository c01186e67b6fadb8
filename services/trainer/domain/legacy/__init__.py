"""The Training Operator's jobs as pure decisions: what they ask for, what runs for them and how they end."""
