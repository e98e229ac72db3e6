"""The ground room: the nouns that the shard builder, the trainer and the evaluator must agree on."""

import os

# torch's OpenMP threads wait for each other by spinning, on a core that a loader worker or another job may need. With
# one of two cores busy, training at width 192 ran at 17 instead of 12 patches/s; on a quiet machine a short spin costs
# nothing. libgomp reads this when torch is first imported, so the rooms that use torch import `ocr` in their __init__.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
