"""The small long-lived process that is parent of all containers; it must import the standard library alone."""
