"""What a TrainJob may say and what follows from it: pure functions over plain objects, no clock, no cluster."""
