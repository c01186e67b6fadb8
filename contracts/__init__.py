"""What is said on the bus and over HTTP: plain data, no behaviour beyond validation."""
