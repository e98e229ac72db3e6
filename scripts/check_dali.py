"""Read shards with NVIDIA DALI's own reader, on the CPU, and hold what it gives against the tars.

DALI (PyPI: nvidia-dali-cuda130, 200 MB) is no dependency. In an environment that can be thrown away:

    pip install nvidia-dali-cuda130 numpy && python scripts/check_dali.py shards/training/select_data

Every sample's text and image file are compared with the tar's, and DALI decodes every image.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nvidia.dali
from nvidia.dali import fn, pipeline_def, types

BATCH_SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Read shards of words with NVIDIA DALI.")
    parser.add_argument("shards", type=Path, metavar="DIR", help="a folder of training or validation shards")
    tars = sorted(parser.parse_args().shards.glob("*.tar"))
    if not tars:
        sys.exit("no tar there; name a folder of shards")
    num_samples = 0
    for (jpg, text), (jpg_read, text_read) in zip(samples_of(tars), read_by_dali(tars), strict=True):
        if (jpg, text) != (jpg_read, text_read):
            sys.exit(
                f"sample {num_samples}: {text.decode()!r} was read as {text_read.decode()!r}, or its image differs"
            )
        num_samples += 1
    print(f"DALI {nvidia.dali.__version__}: {num_samples:,} samples of {len(tars)} shards, all as they were written")


def samples_of(tars: list[Path]) -> Iterator[tuple[bytes, bytes]]:
    """(image file, text) of each sample."""
    for path in tars:
        with tarfile.open(path, "r:") as tar:
            contents = [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]
        yield from zip(contents[::2], contents[1::2], strict=True)


def read_by_dali(tars: list[Path]) -> Iterator[tuple[bytes, bytes]]:
    """(image file, text) of each sample; an image that DALI cannot decode is its error."""

    @pipeline_def(batch_size=BATCH_SIZE, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
    def pipeline() -> Any:
        jpg, text = fn.readers.webdataset(
            paths=list(map(str, tars)), ext=["jpg", "txt"], missing_component_behavior="error", name="shards"
        )
        return jpg, text, fn.decoders.image(jpg, device="cpu", output_type=types.GRAY)

    running = pipeline()
    running.build()
    left = running.epoch_size("shards")
    while left > 0:
        jpgs, texts, _ = running.run()
        for number in range(min(BATCH_SIZE, left)):
            yield jpgs.at(number).tobytes(), texts.at(number).tobytes()
        left -= BATCH_SIZE


if __name__ == "__main__":
    main()
