"""What of deploy/ follows from the services' manifests, and nothing that a person decides for one place."""
