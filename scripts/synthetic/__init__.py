"""The parts of make_synthetic_dataset.py: what a page says, how it looks, and how AI-Hub would have packed it."""
