"""What the word detector is set to: defaults, or what `evaluator.tune` wrote beside an exported recognizer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import yaml

from evaluator.detection.tall_words import TallWords
from ocr.errors import DataError
from ocr.plumbing.files import write_whole

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Length = Annotated[float, msgspec.Meta(ge=0, le=10)]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `evaluator.tune` fits. Lengths are in heights of a character's hill in CRAFT's text map.

    text        on the text map: a character's hill
    peak        the height that the highest hill of a line must reach
    lone        the height that the highest hill of a word must reach
    faint       on the text map, under a piece of ink without a hill: punctuation
    gap         between pieces of ink of one word, at most, on a usual page
    tall_gap    between the characters of a tall word, at most
    margin      room around the ink, as a share of a word's shorter side
    tall_words  how a recognizer is shown a tall word

    The defaults are fitted to synthetic pages with loose labels at 150 dpi.
    """

    text: Share = 0.5
    peak: Share = 0.7
    lone: Share = 0.3
    faint: Share = 0.05
    gap: Length = 0.6
    tall_gap: Length = 0.5
    margin: Length = 0.12
    tall_words: TallWords = "split"


DEFAULTS = Thresholds()


def thresholds_path(easyocr_dir: Path, name: str) -> Path:
    """The file that belongs to the exported recognizer `name`."""
    return easyocr_dir / "user_network" / f"{name}.detector.yaml"


def load_thresholds(path: Path) -> Thresholds:
    """The thresholds of a file; the defaults where there is none. Raises DataError for one that cannot be used."""
    if not path.exists():
        return DEFAULTS
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Thresholds)
    except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a word detector's thresholds: {reason}; run evaluator.tune again") from error


def save_thresholds(thresholds: Thresholds, path: Path) -> None:
    with write_whole(path) as file:
        file.write(yaml.safe_dump(msgspec.to_builtins(thresholds), sort_keys=False).encode())
