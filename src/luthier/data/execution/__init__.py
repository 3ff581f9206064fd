"""Cleaning done on the disk: rows in shards, worked on by several processes or machines, and gone on with after a kill."""
