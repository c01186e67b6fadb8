"""What must happen next for the objects that the trainer serves: pure plans, one module a sort of job."""
