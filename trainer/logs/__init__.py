"""What a run shows: text logs, metrics, curves."""
