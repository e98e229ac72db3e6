"""One way to feed a trainer each: how the patches are written down, and how batches come back.

All but EasyOCR's way decode with OpenCV to grey, scale as the Reader does, and give one uint8 array a batch, made in
the loader worker and padded to its widest. What they need is imported only where it is used.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import webdataset as wds

from ocr.charset import Charset
from ocr.config import Config
from ocr.patch import fit, pad_batch
from ocr.shards.manifest import find_shards
from trainer.data.data_sources import training_shards
from trainer.data.loader import training_batches
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import WIDTH_STEP
from trainer.ranks.process_group import Process

Patch = tuple[bytes, str]
"""(JPEG, text)."""


class Setup(NamedTuple):
    """`folder` is where a loader's own files lie."""

    shards: Path
    folder: Path
    batch_size: int
    workers: int


class Loader(NamedTuple):
    """`write` makes the files it reads from patches, None where it reads the shards.

    `read` gives a 0 once everything is imported, when the time to the first batch begins, and then batch sizes.
    """

    name: str
    package: str
    write: Callable[[Sequence[Patch], Path], None] | None
    read: Callable[[Setup], Iterator[int]]


def patches_of(shards: Path) -> list[Patch]:
    samples = wds.WebDataset([str(path.absolute()) for path in find_shards(str(shards))], shardshuffle=False)
    return [(sample["jpg"], sample["txt"].decode()) for sample in samples]


def scaled(jpeg: bytes) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    return fit(np.asarray(decoded))


def padded(fitted: Sequence[np.ndarray]) -> np.ndarray:
    widest = max(patch.shape[1] for patch in fitted)
    return pad_batch(fitted, -(-widest // WIDTH_STEP) * WIDTH_STEP)


def collated(items: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """Items of (JPEG, text), in whatever a library hands them over, as a batch."""
    cv2.setNumThreads(1)
    pairs = [(item["jpg"], item["txt"]) if isinstance(item, dict) else item for item in items]
    return padded([scaled(jpeg) for jpeg, _ in pairs]), [text for _, text in pairs]


def sizes(batches: Any) -> Iterator[int]:
    """Batch sizes, with each batch as a tensor in this process, as a trainer takes it."""
    for array, texts in batches:
        yield len(torch.as_tensor(array)) if len(texts) else 0


def read_ours(setup: Setup) -> Iterator[int]:
    config = Config(
        train_data=str(setup.shards.parent),
        select_data=setup.shards.name,
        batch_size=setup.batch_size,
        workers=setup.workers,
        data_filtering_off=True,
        img_width=4096,
    )
    everything = "".join(sorted({character for _, text in patches_of(setup.shards) for character in text}))
    recipe = Recipe(config, Charset(everything))
    yield 0
    for batch in training_batches(training_shards(recipe), recipe, Process(0, 1, torch.device("cpu"))):
        yield len(batch.texts)


def read_webdataset(setup: Setup) -> Iterator[int]:
    yield 0
    urls = [str(path.absolute()) for path in find_shards(str(setup.shards))]
    dataset = (
        wds.WebDataset(urls, shardshuffle=len(urls), seed=1)
        .shuffle(5_000)
        .to_tuple("jpg", "txt")
        .map_tuple(scaled, bytes.decode)
        .batched(setup.batch_size, collation_fn=stacked)
    )
    yield from sizes(wds.WebLoader(dataset, batch_size=None, num_workers=setup.workers, collate_fn=as_it_is))


def stacked(pairs: Sequence[tuple[np.ndarray, str]]) -> tuple[np.ndarray, list[str]]:
    return padded([patch for patch, _ in pairs]), [text for _, text in pairs]


def as_it_is(batch: Any) -> Any:
    return batch


def write_png_files(patches: Sequence[Patch], folder: Path) -> None:
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "words"])
        for number, (jpeg, text) in enumerate(patches):
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
            cv2.imwrite(str(folder / f"{number:07d}.png"), np.asarray(image))
            rows.writerow([f"{number:07d}.png", text])


class PngFiles(torch.utils.data.Dataset[Any]):
    """EasyOCR's trainer: a PNG a word, opened by PIL."""

    def __init__(self, folder: Path) -> None:
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.reader(file))[1:]
        self.folder = folder

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[Any, str]:
        from PIL import Image

        name, text = self.rows[number]
        return Image.open(self.folder / name).convert("L"), text


def read_easyocr(setup: Setup) -> Iterator[int]:
    from easyocr.recognition import AlignCollate

    yield 0
    align = AlignCollate(imgH=64, imgW=600, keep_ratio_with_pad=True)
    yield from sizes(loader_of(PngFiles(setup.folder), setup, partial(aligned, align=align)))


def aligned(items: Sequence[tuple[Any, str]], align: Callable[[Any], Any]) -> tuple[Any, list[str]]:
    return align([image for image, _ in items]), [text for _, text in items]


def loader_of(dataset: Any, setup: Setup, collate: Callable[[Any], Any]) -> Any:
    return torch.utils.data.DataLoader(
        dataset, batch_size=setup.batch_size, shuffle=True, num_workers=setup.workers, collate_fn=collate
    )


def write_mosaic(patches: Sequence[Patch], folder: Path) -> None:
    from streaming import MDSWriter

    with MDSWriter(out=str(folder), columns={"jpg": "bytes", "txt": "str"}, exist_ok=True) as writer:
        for jpeg, text in patches:
            writer.write({"jpg": jpeg, "txt": text})


def read_mosaic(setup: Setup) -> Iterator[int]:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    yield 0
    clean_stale_shared_memory()
    dataset = StreamingDataset(local=str(setup.folder), shuffle=True, batch_size=setup.batch_size)
    yield from sizes(
        torch.utils.data.DataLoader(
            dataset, batch_size=setup.batch_size, num_workers=setup.workers, collate_fn=collated
        )
    )


def write_litdata(patches: Sequence[Patch], folder: Path) -> None:
    from litdata import optimize

    (folder.parent / "litdata-patches.pickle").write_bytes(pickle.dumps(list(patches)))
    ranges = [
        (folder.parent / "litdata-patches.pickle", start, start + 5_000) for start in range(0, len(patches), 5_000)
    ]
    optimize(fn=litdata_items, inputs=ranges, output_dir=str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)
    (folder.parent / "litdata-patches.pickle").unlink()


def litdata_items(part: tuple[Path, int, int]) -> Iterator[dict[str, Any]]:
    path, start, stop = part
    for jpeg, text in pickle.loads(path.read_bytes())[start:stop]:
        yield {"jpg": jpeg, "txt": text}


def read_litdata(setup: Setup) -> Iterator[int]:
    from litdata import StreamingDataLoader, StreamingDataset

    yield 0
    dataset = StreamingDataset(str(setup.folder), shuffle=True)
    yield from sizes(
        StreamingDataLoader(dataset, batch_size=setup.batch_size, num_workers=setup.workers, collate_fn=collated)
    )


def write_lmdb(patches: Sequence[Patch], folder: Path) -> None:
    import lmdb

    with lmdb.open(str(folder), map_size=1 << 36) as environment, environment.begin(write=True) as transaction:
        for number, patch in enumerate(patches):
            transaction.put(b"%08d" % number, pickle.dumps(patch))


class LmdbPatches(torch.utils.data.Dataset[Patch]):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.transaction: Any = None
        with self.opened() as environment:
            self.number = environment.stat()["entries"]

    def opened(self) -> Any:
        import lmdb

        return lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False, meminit=False)

    def __len__(self) -> int:
        return int(self.number)

    def __getitems__(self, numbers: Sequence[int]) -> list[Patch]:
        if self.transaction is None:  # opened in the worker
            self.transaction = self.opened().begin(buffers=True)
        return [pickle.loads(self.transaction.get(b"%08d" % number)) for number in numbers]


def read_lmdb(setup: Setup) -> Iterator[int]:
    import lmdb  # noqa: F401

    yield 0
    yield from sizes(loader_of(LmdbPatches(setup.folder), setup, collated))


def read_floor(setup: Setup) -> Iterator[int]:
    """Decoding and scaling the same bytes in memory, in as many processes, and nothing else: no loader can beat it."""
    patches = [jpeg for jpeg, _ in patches_of(setup.shards)]
    np.random.default_rng(0).shuffle(patches)  # type: ignore[arg-type]
    yield 0
    if not setup.workers:
        yield from floor_batches(patches, setup.batch_size)
        return
    context = multiprocessing.get_context("fork")
    done: Any = context.SimpleQueue()
    processes = [
        context.Process(target=run_floor, args=(patches[worker :: setup.workers], setup, done), daemon=True)
        for worker in range(setup.workers)
    ]
    for process in processes:
        process.start()
    try:
        while True:
            yield done.get()
    finally:
        for process in processes:
            process.terminate()
            process.join()


def floor_batches(patches: Sequence[bytes], batch_size: int) -> Iterator[int]:
    cv2.setNumThreads(1)
    while True:
        for start in range(0, len(patches), batch_size):
            batch = patches[start : start + batch_size]
            for jpeg in batch:
                scaled(jpeg)
            yield len(batch)


def run_floor(patches: Sequence[bytes], setup: Setup, done: Any) -> None:
    for size in floor_batches(patches, setup.batch_size):
        done.put(size)


LOADERS = (
    Loader("floor", "cv2", None, read_floor),
    Loader("ours", "webdataset", None, read_ours),
    Loader("webdataset", "webdataset", None, read_webdataset),
    Loader("mosaicml-streaming", "streaming", write_mosaic, read_mosaic),
    Loader("litdata", "litdata", write_litdata, read_litdata),
    Loader("LMDB", "lmdb", write_lmdb, read_lmdb),
    Loader("EasyOCR's trainer", "easyocr", write_png_files, read_easyocr),
)


def bytes_on_disk(folder: Path) -> int:
    """As the file system rounds them up."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
