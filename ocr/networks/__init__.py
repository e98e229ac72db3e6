"""The recognizers' networks: their architectures, and weights on disk."""
