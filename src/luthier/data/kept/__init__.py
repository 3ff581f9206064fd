"""What becomes of cleaned rows, run after run: their sides, what is added to them, their files and versions, what was erased."""
