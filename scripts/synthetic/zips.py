"""Zips as AI-Hub packs them: CP949 names without the UTF-8 flag, directory entries, macOS leftovers."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocr.plumbing.files import write_whole

JUNK = {
    "__MACOSX/._02": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(58),
    ".DS_Store": b"\x00\x00\x00\x01Bud1" + bytes(120),
}
_UTF8_FLAG = 0x800
_WRITTEN = (2021, 3, 2, 9, 0, 0)


class Cp949Info(zipfile.ZipInfo):
    """A member whose name is stored as CP949 bytes, which zipfile itself would write as UTF-8 and flag as such."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        # From Python 3.14 on, the flag is set before this is asked: clear it rather than pass it through.
        return self.filename.encode("cp949"), self.flag_bits & ~_UTF8_FLAG


class AiHubZip:
    """An open zip that writes the folders of a member before the member."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._folders: set[str] = set()

    def write(self, name: str, content: bytes, deflate: bool) -> None:
        """Append one member, deflated or stored."""
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self._write_folder("/".join(parts[:depth]) + "/")
        self._append(name, content, zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED)

    def _write_folder(self, name: str) -> None:
        if name not in self._folders:
            self._folders.add(name)
            self._append(name, b"", zipfile.ZIP_STORED)

    def _append(self, name: str, content: bytes, method: int) -> None:
        info = Cp949Info(name, _WRITTEN)
        info.create_system = 0  # Windows: the same bytes wherever the set is made
        info.external_attr = 0x10 if name.endswith("/") else 0x20
        self._archive.writestr(info, content, compress_type=method)


@contextmanager
def create_zip(path: Path) -> Iterator[AiHubZip]:
    """Yield a new zip that bears its name only once it is whole."""
    with write_whole(path) as file, zipfile.ZipFile(file, "w") as archive:
        yield AiHubZip(archive)
