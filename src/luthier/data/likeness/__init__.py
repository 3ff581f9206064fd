"""Which rows are alike: what of them is compared, the exact join of many texts, and the indexes that find one among many."""
