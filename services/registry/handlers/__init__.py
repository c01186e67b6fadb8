"""What is done for one message or one request, inside one transaction; it must not assume which came."""
