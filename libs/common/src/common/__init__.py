"""What the three services share: the vocabulary, the contracts, and the only users of each driver."""
