"""What a record is and which moves it may make: pure functions and pydantic forms, no store, no HTTP."""
