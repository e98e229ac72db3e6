"""What decides which samples are used and how they look: the config and the alphabet it names."""

from __future__ import annotations

import msgspec
import numpy as np

from ocr.charset import Charset
from ocr.config import Config
from ocr.networks.network import network_of
from ocr.patch import fit_into, fitted_widths, reader_widths, stretch
from ocr.shards.shard_index import Index
from trainer.data.sample_order import WIDTH_STEP

USED = "used"
NO_PATCH = "no readable patch"
NO_TEXT = "no text"
REFUSALS = (
    NO_PATCH,
    NO_TEXT,
    "left out by total_data_usage_ratio",
    "character outside the alphabet",
    "longer than batch_max_length",
    "wider than img_width",
    "no character of the alphabet",
    "too narrow for its text",
)
FATES = (USED, *REFUSALS)
"""Why a sample is not trained on; the first reason that holds is counted."""


class Recipe(msgspec.Struct, frozen=True):
    config: Config
    charset: Charset

    def for_validation(self) -> Recipe:
        """The same, for samples that are never left out by `total_data_usage_ratio`."""
        return Recipe(msgspec.structs.replace(self.config, total_data_usage_ratio=1.0), self.charset)

    def text(self, text: str) -> str:
        """The text that readings are compared with: lower case unless `sensitive`."""
        return text if self.config.sensitive else text.lower()

    def fit_into(self, row: np.ndarray, patch: np.ndarray) -> int:
        """Write a patch into its row of a batch, uint8 (H, W[, 3]): in its own shape with `PAD`, stretched without.

        Gives the width that it takes; where that is more than the row's, nothing is written.
        """
        config = self.config
        if config.PAD:
            return fit_into(row, patch, config.contrast_adjust)
        row[:, : config.img_width] = stretch(patch, config.img_height, config.img_width)
        row[:, config.img_width :] = row[:, config.img_width - 1 : config.img_width]  # rows have a step in width
        return config.img_width

    def widths(self, index: Index) -> np.ndarray:
        """The width of each sample's patch at img_height."""
        if not self.config.PAD:
            return np.full(index.num_samples, self.config.img_width)
        return fitted_widths(*sizes(index), self.config.img_height)

    def training_widths(self, index: Index) -> np.ndarray:
        """The width that each sample needs in a training batch: that of its patch, in whole steps of the network."""
        return -(-self.widths(index) // WIDTH_STEP) * WIDTH_STEP

    def reader_widths(self, index: Index) -> np.ndarray:
        """The width that the Reader pads each patch to when it reads it alone, for validation."""
        if not self.config.PAD:
            return self.widths(index)
        return reader_widths(*sizes(index), self.config.img_height)

    def fates(self, index: Index, padded_widths: np.ndarray) -> np.ndarray:
        """What becomes of each sample when it is padded to `padded_widths`, as numbers of FATES.

        Raises UnicodeDecodeError where a text is no UTF-8.
        """
        config = self.config
        classes, ends = self.classes(index)
        num_missing = sums(classes == 0, ends)
        num_raw = np.diff(ends, prepend=0)
        if config.data_filtering_off:
            classes, ends = classes[classes > 0], np.concatenate(([0], np.cumsum(classes > 0)))[ends]
        lengths = np.diff(ends, prepend=0)
        network = network_of(config)
        num_blanks = num_doubled(classes, ends) if network.Prediction == "CTC" else 0
        refused = (
            (index.width == 0) | (index.height == 0) | (index.patch_bytes == 0),
            num_raw == 0,
            index.patch_crc >= config.total_data_usage_ratio * 2**32,
            (num_missing > 0) & (not config.data_filtering_off),
            (lengths > config.batch_max_length) & (not config.data_filtering_off),
            self.widths(index) > config.img_width,
            lengths == 0,
            lengths + num_blanks > network.num_steps(padded_widths),
        )
        return np.select(refused, np.arange(1, len(FATES)), 0).astype(np.uint8)

    def classes(self, index: Index) -> tuple[np.ndarray, np.ndarray]:
        """(the class of every character of all texts, 0 outside the alphabet; where each text ends among them)."""
        code_points, ends = self.code_points(index)
        return self.charset.class_table[code_points], ends

    def code_points(self, index: Index) -> tuple[np.ndarray, np.ndarray]:
        """(the code point of every character of all texts; where each text ends among them)."""
        if self.config.sensitive:
            text = index.text.tobytes().decode()
            first_bytes = (index.text & 0xC0) != 0x80
            ends = np.concatenate(([0], np.cumsum(first_bytes)))[index.text_end.astype(np.int64)]
        else:
            texts = [self.text(text) for text in index.texts()]
            text, ends = "".join(texts), np.cumsum([len(text) for text in texts], dtype=np.int64)
        return np.frombuffer(text.encode("utf-32-le"), np.uint32), ends


def sizes(index: Index) -> tuple[np.ndarray, np.ndarray]:
    """(widths, heights) in pixels; 1 where the image does not say, because such a sample is refused anyway."""
    return np.maximum(index.width, 1).astype(np.int64), np.maximum(index.height, 1).astype(np.int64)


def sums(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The sum over each run of values, by where the runs end."""
    return np.diff(np.concatenate(([0], np.cumsum(values)))[ends], prepend=0)


def num_doubled(classes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many characters of each text follow an equal one: between two such, CTC needs a blank (`num_ctc_steps`)."""
    doubled = np.zeros(len(classes), bool)
    doubled[1:] = classes[1:] == classes[:-1]
    starts = np.concatenate(([0], ends[:-1]))
    doubled[starts[starts < len(classes)]] = False
    return sums(doubled, ends)
