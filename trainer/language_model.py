"""`python -m trainer.language_model --config YAML --out FILE [key=value …]`: the training texts -> a language model.

Name FILE in the config's `language_model`, with `decode: beamsearch`, and validation and our own reading use it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ocr.config import Config, load_config
from ocr.decoding.ngrams import make_language_model, save_language_model
from ocr.errors import UsageError, run_command
from trainer.alphabet import charset_for
from trainer.data.data_sources import located, read_texts


def write_language_model(config: Config, path: Path) -> str:
    """Make a language model of the texts that `train_data` holds; gives a line that says what it is."""
    if path.suffix != ".npz":
        raise UsageError(f"--out: {path} must end in .npz")
    folders, _ = located(config.train_data, config)
    if not folders:
        raise UsageError(f"{config.train_data}: texts are read from shards that can be looked into; name their folder")
    texts = list(read_texts([shard for folder in folders for shard in folder]))
    if not config.sensitive:
        texts = [text.lower() for text in texts]
    model = make_language_model(texts, charset_for(config))
    save_language_model(model, path)
    return (
        f"{path}: {len(model.keys):,} n-grams of {len(texts):,} texts, {path.stat().st_size:,} bytes; "
        f"a character of them has {-model.mean_log_prob:.2f} nats"
    )


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
