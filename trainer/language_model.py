"""`python -m trainer.language_model --config YAML --out FILE [key=value …]`: the training texts -> a language model.

Name FILE in the config's `language_model`, with `decode: beamsearch`, and validation and our own reading use it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ocr.config import Config, load_config, selected_folders
from ocr.errors import DataError, UsageError, run_command
from ocr.index import Index, read_index, scan_tar
from ocr.language_model import make_language_model, save_language_model
from ocr.places import Place, Url
from ocr.progress import progress
from ocr.shards import shards_at
from ocr.weights import charset_of


def write_language_model(config: Config, path: Path) -> str:
    """Make a language model of the texts that `train_data` holds; gives a line that says what it is."""
    if path.suffix != ".npz":
        raise UsageError(f"--out: {path} must end in .npz")
    folders = [f"{config.train_data}/{name}" for name in selected_folders(config)]
    texts = list(read_texts([shard for folder in folders for shard in shards_at(folder)]))
    if not config.sensitive:
        texts = [text.lower() for text in texts]
    model = make_language_model(texts, charset_of(config.character))
    save_language_model(model, path)
    return (
        f"{path}: {len(model.keys):,} n-grams of {len(texts):,} texts, {path.stat().st_size:,} bytes; "
        f"a character of them has {-model.mean_log_prob:.2f} nats"
    )


def read_texts(shards: Sequence[Place]) -> Iterator[str]:
    """Every text of some shards, in order, from their indexes; a tar without one is read."""
    for shard in progress(shards, "texts", "shards"):
        try:
            yield from (read_index(shard) or scanned(shard)).texts()
        except UnicodeDecodeError as error:
            raise DataError(f"{shard}: a text in it is no UTF-8 ({error}); build it again") from error


def scanned(shard: Place) -> Index:
    if isinstance(shard, Url):
        raise UsageError(
            f"{shard}: has no index, and is not on this machine; run `python -m shard_builder.index` on it"
        )
    return scan_tar(shard)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="trainer.language_model", description="Make a character language model of the training texts."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="e.g. configs/korean_g2.yaml")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it (.npz)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config keys that replace the file's")
    arguments = parser.parse_args()
    print(write_language_model(load_config(arguments.config, arguments.overrides), arguments.out))


if __name__ == "__main__":
    run_command(main)
