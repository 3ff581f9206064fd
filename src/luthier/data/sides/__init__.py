"""Which side a row stands on, train, validation or test: how rows are parted, and what the sides share afterwards."""
