"""Who may run now: pure decisions over what was asked and what there is."""
