"""What is in shards, for people: `python -m shard_builder.stats DIR`.

Tables from the manifest, histograms from the indexes, and a contact sheet: a picture of random patches with their
texts. Only the patches on it are decoded.
"""

from __future__ import annotations

import argparse
import signal
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ocr.contact_sheet import SheetSection, contact_sheet
from ocr.errors import UsageError, run_command
from ocr.plumbing.files import write_whole
from ocr.remote.locations import PathOrUrl, path_or_url
from ocr.shards.manifest import Manifest
from shard_builder.inspect.shard_folders import Folder, find_folders, read_folder
from shard_builder.inspect.text_tables import LINE_COLUMNS, counted, histogram, num_columns, quantile, table, wrapped
from shard_builder.inspect.word_table import Words, characters_of, random_cells, words_of
from shard_builder.label_scan import WRITTEN

SHEET_NAME = "contact_sheet.png"
SHEET_PATCHES = 64  # of each folder
READ_HEIGHT = 64  # of a patch when EasyOCR reads it
MANY = 60  # characters in a list


def stats(root: PathOrUrl, seed: int) -> list[SheetSection]:
    """Print what each folder of shards from `root` down holds; give a section of its contact sheet for each.

    Raises UsageError where there is no shard, DataError for a manifest or index that is damaged or not there.
    """
    sections: list[SheetSection] = []
    for path in find_folders(root):
        folder = read_folder(path)
        words = words_of(folder)
        print("\n".join(described(folder, words)), end="\n\n", flush=True)
        cells = random_cells(folder, words, SHEET_PATCHES, seed)
        sections.append((f"{title(folder)}: {len(cells):,} of {counted(len(words), 'word')}", cells))
    return sections


def write_sheet(path: Path, sections: Sequence[SheetSection]) -> None:
    """Raises UsageError where there is no Korean font or the file cannot be written."""
    sheet = contact_sheet(sections)
    try:
        with write_whole(path) as file:
            sheet.save(file, "PNG")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name another place with --sheet FILE.png") from error


def title(folder: Folder) -> str:
    return f"{folder.manifest.split}: {folder.path}" if folder.manifest else str(folder.path)


def described(folder: Folder, words: Words) -> Iterator[str]:
    """The lines on one folder."""
    yield title(folder)
    yield "=" * min(num_columns(title(folder)), LINE_COLUMNS)
    if folder.manifest:
        yield from made_of(folder.manifest)
    else:
        why = "its build has not finished" if folder.unfinished else "tars of others"
        yield f"no manifest, {why}: {counted(len(folder.shards), 'shard')}, {counted(len(words), 'sample')}"
    yield from sizes(words)
    yield from characters(characters_of(folder))
    if folder.manifest:
        yield from outside_alphabet(folder.manifest)


def made_of(manifest: Manifest) -> Iterator[str]:
    num_samples = sum(shard.num_samples for shard in manifest.shards)
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    yield (
        f"{counted(len(manifest.shards), 'shard')}, {counted(num_samples, 'sample')}, {num_bytes / 1e6:,.1f} MB, "
        f"{manifest.worker_seconds:,.1f} s of work"
    )
    yield from ("", *table([*fates("pages", manifest.pages), *fates("words", manifest.words)]))
    yield from ("", *table(categories(manifest)))
    yield from ("", *table(inputs(manifest)))
    yield from ("", "settings")
    yield from wrapped((f"{key} {value}" for key, value in manifest.settings.items()), indent=2)
    yield "versions"
    yield from wrapped((f"{key} {value}" for key, value in manifest.versions.items()), indent=2)


Rows = list[tuple[str, ...]]


def fates(name: str, counts: Mapping[str, int]) -> Rows:
    """What is written first, then what is left out, the most common reason first."""
    total = sum(counts.values())
    order = sorted(counts.items(), key=lambda item: (item[0] != WRITTEN, -item[1], item[0]))
    rows: Rows = [(f"  {fate}", f"{number:,}", f"{number / total:.1%}") for fate, number in order]
    return [(name, f"{total:,}", ""), *rows]


def categories(manifest: Manifest) -> Rows:
    num_pages, num_words = (max(counts.get(WRITTEN, 0), 1) for counts in (manifest.pages, manifest.words))
    rows: Rows = [("categories", "pages", "", "words", "", "words a page")]
    for name, counts in sorted(manifest.categories.items(), key=lambda item: (-item[1].words, item[0])):
        pages, words = counts.pages, counts.words
        rows.append(
            (
                f"  {name or '(none)'}",
                f"{pages:,}",
                f"{pages / num_pages:.1%}",
                f"{words:,}",
                f"{words / num_words:.1%}",
                f"{words / pages:.1f}",
            )
        )
    return rows


def inputs(manifest: Manifest) -> Rows:
    rows: Rows = [
        (f"  {entry.name}", f"{entry.num_bytes / 1e6:,.1f}", f"{entry.num_entries:,}") for entry in manifest.inputs
    ]
    return [("inputs", "MB", "entries"), *rows]


def sizes(words: Words) -> Iterator[str]:
    known = (words.width > 0) & (words.height > 0)
    if lost := int(np.count_nonzero(~known)):
        yield f"{counted(lost, 'sample')} without a patch whose size can be read"
    width, height = words.width[known], words.height[known]
    yield from distribution(f"patch width, pixels at height {READ_HEIGHT}", width_when_read(width, height))
    yield from distribution("patch height, pixels", height)
    yield from distribution("text length, characters", words.length)


def width_when_read(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """The width of patches scaled to READ_HEIGHT as ocr.patch.fit does it, which squeezes those taller than wide."""
    squared = READ_HEIGHT * READ_HEIGHT
    upright = -(-squared // np.maximum(READ_HEIGHT * height // width, 1))
    return np.asarray(np.where(width >= height, READ_HEIGHT * width // height, upright))


def distribution(name: str, values: np.ndarray) -> Iterator[str]:
    if not len(values):
        return
    median, most = quantile(values, 0.5), quantile(values, 0.99)
    yield from ("", f"{name}: median {median:,}, 99% up to {most:,}, largest {int(values.max()):,}")
    yield from histogram(values)


def characters(counts: Mapping[str, int]) -> Iterator[str]:
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    once, seldom = (sum(number <= most for number in counts.values()) for most in (1, 9))
    kinds = f"{sum(counts.values()):,}, of {len(order):,} kinds"
    yield from ("", f"characters: {kinds}; {seldom:,} fewer than 10 times, {once:,} once")
    yield from listed("most frequent", order[:MANY])
    yield from listed("rarest", order[::-1][:MANY])


def outside_alphabet(manifest: Manifest) -> Iterator[str]:
    order = sorted(manifest.missing.items(), key=lambda item: (-item[1], item[0]))
    share = sum(manifest.missing.values()) / max(sum(manifest.characters.values()), 1)
    yield from listed(f"outside the alphabet: {len(order):,} kinds, {share:.2%} of all characters", order[:MANY])


def listed(name: str, counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    yield from ("", name)
    yield from wrapped((f"{shown(character)} {number:,}" for character, number in counts), indent=2)


def shown(character: str) -> str:
    """A character, or its code point where nothing, or nothing by itself, would be seen."""
    if character == " ":
        return "space"
    unseen = not character.isprintable() or character.isspace() or unicodedata.category(character).startswith("M")
    return f"U+{ord(character):04X}" if unseen else character


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shard_builder.stats",
        description="Print what shards hold, and draw a contact sheet of random patches with their texts.",
    )
    parser.add_argument(
        "folder", type=path_or_url, metavar="DIR", help="a folder of shards, or one above several; s3://…"
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help=f"where to draw the sheet; default DIR/{SHEET_NAME}")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="draws other patches; default 0")
    arguments = parser.parse_args()
    sections = stats(arguments.folder, arguments.seed)
    folder = arguments.folder if isinstance(arguments.folder, Path) else Path()  # of a bucket it is drawn here
    path = arguments.sheet or folder / SHEET_NAME
    try:
        write_sheet(path, sections)
    except UsageError as error:
        if arguments.sheet:
            raise
        print(f"no contact sheet: {error}", file=sys.stderr)
    else:
        print(f"contact sheet: {path}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it without a word
    run_command(main)
