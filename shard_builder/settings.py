"""The keys of the config that decide what bytes a shard holds."""

from __future__ import annotations

import msgspec

from ocr.config import Config


class Settings(msgspec.Struct, frozen=True):
    """The builder's part of the config, under the same names. It travels with every job and into the manifest."""

    seed: int
    rgb: bool
    patch_format: str
    jpeg_quality: int
    min_side: int
    vertical_words: str


def settings_of(config: Config) -> Settings:
    return msgspec.convert(config, Settings, from_attributes=True)
