"""The test set, what systems said about it, and whether that is good enough."""
