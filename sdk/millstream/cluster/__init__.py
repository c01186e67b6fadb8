"""What a cluster needs and no manifest can hold: keys, passwords, certificates, databases. Laptops need none of it."""
