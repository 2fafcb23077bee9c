"""Answers polls from the cache first and the store second."""
