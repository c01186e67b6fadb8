"""Who says it: one package per service; none imports another."""
