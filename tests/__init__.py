"""The tests: each against real servers, and the product through its front doors."""
