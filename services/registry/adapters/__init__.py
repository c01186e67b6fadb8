"""The ports of the registry kept with libs.store: tables and their queries."""
