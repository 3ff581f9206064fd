"""From a source to examples, and back to files: what it is made of, its rows by name, and taking rows out of it."""
