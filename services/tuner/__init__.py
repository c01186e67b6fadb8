"""The service that searches for good parameters: Experiments become trials; it never trains anything itself."""
