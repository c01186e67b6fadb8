"""What is done for one request, one transaction each; it must not assume how it came or where things are kept."""
