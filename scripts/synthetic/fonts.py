"""Faces: which font files there are, which characters each can draw, and how large a text becomes in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pylopdf_fonts_ko
from PIL import ImageFont

_SYSTEM_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts", "~/Library/Fonts")
_SYSTEM_PATTERNS = ("Nanum*.ttf", "Un*.ttf", "Baekmuk*.ttf", "Gowun*.ttf", "*CJKkr*.otf")
_NOT_A_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Face:
    """One font file."""

    path: str


@lru_cache
def bundled_faces() -> tuple[Face, ...]:
    """Return the serif and the sans face that come as a package, the same on every machine."""
    return Face(str(pylopdf_fonts_ko.serif_path())), Face(str(pylopdf_fonts_ko.sans_path()))


@lru_cache
def system_faces() -> tuple[Face, ...]:
    """Return the Korean faces installed on this machine, by path."""
    folders = [Path(folder).expanduser() for folder in _SYSTEM_FOLDERS]
    paths = sorted({path for folder in folders for pattern in _SYSTEM_PATTERNS for path in folder.rglob(pattern)})
    return tuple(face for face in (Face(str(path)) for path in paths) if covers(face, "가나다라힣"))


@lru_cache(maxsize=512)
def sized(face: Face, size: float) -> ImageFont.FreeTypeFont:
    # Pillow's own layout, because the other one is there on some machines only and places glyphs a little differently.
    return ImageFont.truetype(face.path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=65536)
def _can_draw(face: Face, character: str) -> bool:
    font = sized(face, 24)
    glyph, tofu = font.getmask(character), font.getmask(_NOT_A_CHARACTER)
    is_tofu = glyph.size == tofu.size and bytes(glyph) == bytes(tofu)
    return not is_tofu and (character == " " or glyph.getbbox() is not None)


def covers(face: Face, text: str) -> bool:
    """Tell whether the face has a glyph for every character, and not the empty box fonts draw for what they lack."""
    return all(_can_draw(face, character) for character in text)


def covering(text: str, face: Face, others: Sequence[Face]) -> Face | None:
    """Return `face` or, where it lacks a character, the first of `others` that has them all."""
    return next((each for each in (face, *others) if covers(each, text)), None)


@lru_cache(maxsize=65536)
def advance(face: Face, size: float, text: str) -> float:
    """Return how far the pen moves."""
    return float(sized(face, size).getlength(text))


@lru_cache(maxsize=65536)
def ink_box(face: Face, size: float, text: str) -> tuple[int, int, int, int]:
    """Return where the ink lies, (x0, y0, x1, y1) from the pen's start on the base line, y down."""
    mask, (left, top) = sized(face, size).getmask2(text, mode="L", anchor="ls")
    x0, y0, x1, y1 = mask.getbbox() or (0, 0, 0, 0)
    return left + x0, top + y0, left + x1, top + y1
