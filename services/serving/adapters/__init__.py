"""The ports of serving kept with libs.store."""
