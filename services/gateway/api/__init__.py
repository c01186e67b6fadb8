"""What the gateway answers and what it passes on."""
