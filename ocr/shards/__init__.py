"""Shards on disk: tars, the index beside each, and the manifest of a folder."""
