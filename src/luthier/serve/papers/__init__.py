"""What travels with a bundle for people: its model card, the licences, and all it takes to serve it elsewhere."""
