"""Names and texts as other tools wrote them: in zips, in tars and on disk, in UTF-8, CP949 or neither."""

from __future__ import annotations

import os
import struct
import unicodedata
import zipfile
import zlib
from pathlib import PurePath

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # Info-ZIP's extra field: version, CRC-32 of the name it stands for, the name in UTF-8
EXTRA_FIELD = struct.Struct("<HH")
UNICODE_PATH_HEADER = struct.Struct("<BL")


def decode_name(stored: bytes) -> str:
    """A name as its tool meant it, on one line. CP949 hardly ever makes valid UTF-8, and cp437 takes any bytes."""
    for encoding in ("utf-8", "cp949", "cp437"):
        try:
            name = stored.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    return on_one_line(name)


def on_one_line(text: str) -> str:
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def readable(path: str | PurePath) -> str:
    """A path as messages and JSON can say it: a name on disk may be any bytes."""
    return decode_name(os.fsencode(path))


def name_of(info: zipfile.ZipInfo) -> str:
    """An entry's name, NFC, with / between folders. Without the UTF-8 flag AI-Hub's are CP949, others' UTF-8."""
    stored = stored_name(info)
    name = decode_name(stored)
    if not info.flag_bits & UTF8_FLAG:
        name = unicode_path(info.extra, stored) or name
    return unicodedata.normalize("NFC", name.replace("\\", "/"))  # as .NET wrote them until 2015


def stored_name(info: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry's name. zipfile reads them as UTF-8 or, without the flag, as cp437, which knows all 256."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8_FLAG else "cp437")


def unicode_path(extra: bytes, stored: bytes) -> str | None:
    """The name in a unicode-path field, if there is one and it stands for the name as stored."""
    while len(extra) >= EXTRA_FIELD.size:
        kind, num_bytes = EXTRA_FIELD.unpack_from(extra)
        field, extra = extra[EXTRA_FIELD.size :][:num_bytes], extra[EXTRA_FIELD.size + num_bytes :]
        if kind == UNICODE_PATH and len(field) > UNICODE_PATH_HEADER.size:
            version, crc = UNICODE_PATH_HEADER.unpack_from(field)
            if version == 1 and crc == zlib.crc32(stored):  # another CRC: the entry was renamed later, by another tool
                return decode_name(field[UNICODE_PATH_HEADER.size :])
    return None


def is_leftover(path: str) -> bool:
    """Whether a file, named by its path with / between folders, is one that macOS leaves beside others."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


def shown(beginning: bytes) -> str:
    """What a file that is not what its name says begins with: mostly the error page of a server."""
    text = on_one_line(" ".join(beginning[:48].decode("utf-8", "replace").split()))
    return f'it begins with "{text}"' if beginning else "it is empty"
