"""How it is said: the machinery shared by all services; it knows no particular service."""
