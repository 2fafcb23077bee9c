"""Accepts a job, records it, publishes it to the broker."""
