"""What is wrong with a shard whose bytes are not those that were written, as far as it can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ocr.errors import DataError
from ocr.shards.shard_index import BrokenTar, Index, read_key, scan_tar
from shard_builder.inspect.text_tables import counted


def damage_of(shard: Path, index: Index | None) -> str:
    """A few words on what happened to a tar, told by the index of what was written: None where that is not there."""
    try:
        found = scan_tar(shard)
    except BrokenTar as error:
        return broken_off(error, index)
    except DataError as error:
        return f"not what was written ({error})"
    if index is None:
        return "other bytes than were written; which ones cannot be told without its index"
    if not np.array_equal(found.sample_offset, index.sample_offset):
        return (
            f"a whole tar of {counted(found.num_samples, 'sample')}, but not of the {index.num_samples:,} that were "
            "written: the shard of another build, or changed by hand"
        )
    return changed(shard, found, index)


def broken_off(error: BrokenTar, index: Index | None) -> str:
    """Where a tar breaks off, and how much of it readers get to see without being told."""
    if index is None:
        return f"{error.reason}, at byte {error.at:,}"
    left = int(np.count_nonzero(index.sample_offset + index.sample_bytes <= error.at))
    if left == index.num_samples:
        return f"its end mark is missing or damaged; all {left:,} samples are there"
    cut_at_border = error.at == error.shard.stat().st_size and error.at in index.sample_offset
    where = "cut off at the border of a sample" if cut_at_border else error.reason
    return f"{where}, at byte {error.at:,}: {left:,} of {index.num_samples:,} samples left"


def changed(shard: Path, found: Index, index: Index) -> str:
    """Which samples of two indexes differ that agree on where these lie."""
    patches = np.flatnonzero(found.patch_crc != index.patch_crc).tolist()
    both = zip(found.encoded_texts(), index.encoded_texts(), strict=True)
    texts = [row for row, (left, right) in enumerate(both) if left != right]
    if not patches and not texts:
        return "changed between its samples' patches and texts, which are whole"
    parts = ((patches, "patch", "patches"), (texts, "text", "texts"))
    named = [name_rows(shard, index, rows, one, many) for rows, one, many in parts if rows]
    return f"changed inside {' and '.join(named)}"


def name_rows(shard: Path, index: Index, rows: list[int], one: str, many: str) -> str:
    key = read_key(shard, int(index.sample_offset[rows[0]]))
    return f"the {one} of {key}" if len(rows) == 1 else f"{len(rows):,} {many}, the first of {key}"
