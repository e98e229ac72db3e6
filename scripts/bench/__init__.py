"""What scripts/bench_loader.py compares."""
