"""The local stack: real servers and a stub of the model API, shared by `make run` and the tests."""
