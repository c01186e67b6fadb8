"""Decisions of the gateway as pure functions: where a request goes, what may pass, how many documents become one."""
