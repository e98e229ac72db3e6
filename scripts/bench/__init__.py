"""The parts of the benchmarks: what they run, how it is measured, and on which machine."""
