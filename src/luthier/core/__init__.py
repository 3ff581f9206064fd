"""The words everything else is made of: examples, recipes, runs, errors. No torch, no tokenizers."""
