"""Takes jobs from the broker, calls the model, saves the answer, acknowledges."""
