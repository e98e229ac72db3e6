"""`python scripts/bench/unzip_way.py DATASET OUT [--lean]`: the way without shards, in one process.

Unzip everything; open each page with PIL, crop its words, save a PNG a word; list them in a CSV. `--lean` decodes the
JPEG's luma alone and compresses PNGs at zlib's fastest level, which few who go this way do.
"""

from __future__ import annotations

import argparse
import csv
import json
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lean", action="store_true")
    arguments = parser.parse_args()
    unzipped, patches = arguments.out / "unzipped", arguments.out / "patches"
    for path in sorted(arguments.dataset.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(unzipped)
    files = [path for path in unzipped.rglob("*") if path.is_file()]
    images = {path.stem: path for path in files if path.suffix.lower() == ".jpg"}
    labels = {path.stem: path for path in files if path.suffix.lower() == ".json"}
    patches.mkdir()
    with (arguments.out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "words"))
        for stem in sorted(images.keys() & labels.keys()):
            label = json.loads(labels[stem].read_text(encoding="utf-8-sig"))
            writer.writerows(save_patches(images[stem], label["annotations"], patches, arguments.lean))


def save_patches(path: Path, annotations: list[dict[str, Any]], patches: Path, lean: bool) -> list[tuple[str, str]]:
    rows = []
    with Image.open(path) as image:
        if lean:
            image.draft("L", None)
        for annotation in annotations:
            text, (x, y, width, height) = annotation["annotation.text"], annotation["annotation.bbox"]
            x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, image.width), min(y + height, image.height)
            if text and x0 < x1 and y0 < y1:
                name = f"{path.stem}_{x0}-{y0}-{x1}-{y1}.png"
                image.crop((x0, y0, x1, y1)).save(patches / name, compress_level=1 if lean else 6)
                rows.append((name, text))
    return rows


if __name__ == "__main__":
    main()
