"""The service shell: turns a service's parts into a running process; it must not know a particular event or kind."""
