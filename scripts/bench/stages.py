"""What each step of a job costs, taken one after the other with the builder's own functions."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import cv2

from bench.dataset import DrawnPage
from ocr.config import Config
from ocr.labels.aihub import read_label
from ocr.page import crop, decode_image
from ocr.shards.manifest import write_packed
from shard_builder.commits import BUILD_NAME
from shard_builder.executors import engine
from shard_builder.job import encode, packed, run_job
from shard_builder.plan import Job, even_parts, plan_splits, slots_of
from shard_builder.spill import Spill
from shard_builder.word_selection import samples_of, words_of
from shard_builder.zips.zip_entries import read_entry

WHOLE = "the job as it is"


class Clock:
    """Seconds of CPU by step; a lap lasts from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.last = process_time()

    def lap(self, step: str) -> None:
        now = process_time()
        self.seconds[step] += now - self.last
        self.last = now


def stages(dataset: Path, out: Path, num_pages: int) -> dict[str, float]:
    """CPU milliseconds a page of each step in its order, and of the whole job as the builder runs it."""
    with engine("loky", 1) as run_jobs:
        (plan,) = plan_splits(Config(train_images=num_pages), dataset, out, ["training"], run_jobs)
    (job,) = plan.jobs
    (job.folder / BUILD_NAME).mkdir(parents=True)
    cv2.setNumThreads(1)
    run_job(job)  # fills caches
    clock = Clock()
    run_job(job)
    clock.lap(WHOLE)
    step_by_step(job, clock)
    return {step: seconds / num_pages * 1e3 for step, seconds in clock.seconds.items()}


def step_by_step(job: Job, clock: Clock) -> None:
    """As `run_job`, with the clock read between the steps."""
    slots = slots_of(job)
    clock.lap("slots of the words")
    with Spill(job.folder, sum(job.num_words)) as spill:
        for number, source in enumerate(job.pages):
            label_bytes = read_entry(source.label)
            clock.lap("label: pread, inflate, CRC-32")
            image_bytes = read_entry(source.image)
            clock.lap("image: pread, CRC-32")
            label = read_label(label_bytes)
            clock.lap("label: JSON")
            image = decode_image(image_bytes, color=False)
            clock.lap("decode")
            assert image is not None
            words = samples_of(words_of(label, image.shape[1], image.shape[0])[0], job.settings, Counter())
            clock.lap("words: clip, refuse")
            patches = [crop(image, word.box) for _, word in words]
            clock.lap("crop")
            encoded = [encode(patch, job.settings) for patch in patches]
            clock.lap("encode")
            samples = [
                packed(source.key, word, content, job.settings)
                for (_, word), content in zip(words, encoded, strict=True)
            ]
            clock.lap("tar: headers, CRC-32")
            for (index, _), sample in zip(words, samples, strict=True):
                spill.put(slots[number][index], sample)
            clock.lap("spill: write")
        for path, (start, stop) in zip(job.shard_paths(), even_parts(len(spill.offset), job.num_shards), strict=True):
            shuffled = list(spill.samples(start, stop))
            clock.lap("spill: read")
            write_packed(path, shuffled)
            clock.lap("shard: write, SHA-256, index")


def inflate_milliseconds(pages: Sequence[DrawnPage]) -> float:
    """CPU milliseconds that a page takes on top where its image is deflated, as in some of AI-Hub's zips."""
    deflated = [zlib.compress(page.image) for page in pages]
    start = process_time()
    for content in deflated:
        zlib.decompress(content)
    return (process_time() - start) / len(pages) * 1e3
