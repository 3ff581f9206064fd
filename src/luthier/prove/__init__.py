"""The proofs of a run: what it shows about itself, on its own model and rows."""
