"""Objects in an S3 store: the one home of its client; it must not assume whose bucket it reads."""
