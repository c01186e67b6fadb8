"""A run as a picture: what is in it, where it stands, how it is drawn."""
