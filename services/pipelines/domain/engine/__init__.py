"""What runs next, decided from a pipeline and the records of its run; nothing here starts, stores or waits."""
