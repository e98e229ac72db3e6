"""A shard of labeled images: a pure function of the job, whoever runs it.

Images stay the bytes they are; one that is neither JPEG nor PNG is encoded anew, as the config says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import cv2
import msgspec

from ocr.page import JPEG_BEGINS, Word, decode_image, image_size
from ocr.shards.manifest import write_shard
from ocr.shards.tar_writer import Sample
from shard_builder.commits import Commit, Failure, write_commit
from shard_builder.job import BAD_IMAGE, encode
from shard_builder.label_scan import WRITTEN
from shard_builder.settings import Settings
from shard_builder.word_images.image_set import NO_SUCH_IMAGE, ImageSet, Row
from shard_builder.word_selection import EMPTY_TEXT, refuse

FAILED = (NO_SUCH_IMAGE, BAD_IMAGE)
"""The fates that are failures: what should be there and cannot be read."""

Members = dict[str, bytes]


class ImportJob(msgspec.Struct, frozen=True):
    """A shard's number and rows, each with its sample key, and all that the shard is a function of."""

    folder: Path
    split: str
    settings: Settings
    first_shard: int
    images: ImageSet
    rows: tuple[tuple[str, Row], ...]


def run_import(job: ImportJob) -> Commit:
    """Write the job's shard and then its commit. What is no sample is counted and left out."""
    cv2.setNumThreads(1)  # a core a job
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it prints lines for each broken image
    start = monotonic()
    words, characters = Counter[str](), Counter[str]()
    failures: list[Failure] = []

    def samples() -> Iterator[Sample]:
        names = [row.name for _, row in job.rows]
        for (key, row), content in zip(job.rows, job.images.images(names), strict=True):
            fate, members = fate_of(row, content, job.settings)
            words[fate] += 1
            if fate == WRITTEN:
                characters.update(row.text)
                yield key, members
            elif fate in FAILED:
                failures.append(failure_of(job.images, row, fate))

    shard = write_shard(job.folder / f"{job.first_shard:06d}.tar", samples())
    commit = Commit(
        split=job.split,
        shards=(shard,),
        pages={},
        words=dict(words),
        characters=dict(characters),
        categories={},
        failures=tuple(failures),
        seconds=round(monotonic() - start, 3),
    )
    write_commit(job.folder, job.first_shard, commit)
    return commit


def failure_of(images: ImageSet, row: Row, fate: str) -> Failure:
    return Failure(row.name, fate, f"{images.path}: {row.name}: {fate}")


def fate_of(row: Row, content: bytes | None, settings: Settings) -> tuple[str, Members]:
    """WRITTEN and the members of a row's sample, or why it is none, and no members."""
    if row.refused:
        return row.refused, {}
    if not row.text.strip():
        return EMPTY_TEXT, {}
    if content is None:
        return NO_SUCH_IMAGE, {}
    image = decode_image(content, color=settings.rgb)
    if image is None:
        return BAD_IMAGE, {}
    height, width = image.shape[:2]
    if reason := refuse(Word((0, 0, width, height), row.text), settings):
        return reason, {}
    text = {"txt": row.text.encode()}
    if image_size(content) is None:
        return WRITTEN, {settings.patch_format: encode(image, settings)} | text
    return WRITTEN, {"jpg" if content.startswith(JPEG_BEGINS) else "png": content} | text
