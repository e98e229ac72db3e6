"""The ground room: the nouns that the shard builder, the trainer and the evaluator must agree on."""

import os

# torch's OpenMP threads wait for each other by spinning, on a core that a loader worker or another job may need: with
# one of two cores busy, training ran at 12 instead of 17 patches/s, and small networks up to 30 times slower. A short
# spin costs nothing on a quiet machine. It must be set before torch is imported; every command imports `ocr` first.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
