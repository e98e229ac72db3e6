"""Shards: ordinary WebDataset tars, whole under their names, with a manifest beside them.

A shard holds two members a sample, `<key>.<ext>` twice, next to each other. Tars are ustar with mtime 0 and a fixed
owner, so the same samples give the same bytes and every tar reader takes them. `manifest.json` in the same folder is
written last: it says what each shard holds and how many bytes it has.
"""

from __future__ import annotations

import glob
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from braceexpand import braceexpand

from ocr.errors import DataError, UsageError
from ocr.files import written_whole

MANIFEST_NAME = "manifest.json"

Sample = tuple[str, dict[str, bytes]]
"""(key, {extension: bytes}); the key is ASCII and holds no dot, because WebDataset cuts a name at its first dot."""


class ShardRecord(msgspec.Struct, frozen=True):
    """What one shard holds: `num_bytes` is the tar's size on disk, `sha256` its hex digest."""

    name: str
    num_samples: int
    num_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was written into one folder of shards, and what was left out, by reason.

    `pages` and `words` map a fate ("written", or the reason of a refusal) to how many met it: their sums are what
    the zips listed. `fingerprint` is a digest of the inputs and settings the shards are a function of; `missing`
    counts the characters of written texts that the config's charset does not hold.
    """

    split: str
    shards: tuple[ShardRecord, ...]
    pages: dict[str, int]
    words: dict[str, int]
    missing: dict[str, int]
    fingerprint: str
    versions: dict[str, str]


def write_shard(path: Path, samples: Iterable[Sample]) -> ShardRecord:
    """Write samples as one tar; it appears under `path` when it is whole."""
    num_samples = 0
    with written_whole(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            num_samples += 1
            for extension, payload in members.items():
                header = tarfile.TarInfo(f"{key}.{extension}")
                header.size, header.mode = len(payload), 0o644
                tar.addfile(header, io.BytesIO(payload))
    with path.open("rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
    return ShardRecord(path.name, num_samples, path.stat().st_size, sha256.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    with written_whole(folder / MANIFEST_NAME) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder of shards; None where there is none (tars that others made)."""
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: not a manifest of shards: {error}; build the shards again") from error


def find_shards(spec: str) -> list[Path]:
    """The shards that a folder, a file, a glob or a brace pattern (`{000000..000007}.tar`) names, in order of name.

    Each shard is held against the manifest beside it: a missing or truncated tar is a DataError, because tar itself
    ends early without a word. Raises UsageError where nothing matches.
    """
    if Path(spec).is_dir():
        paths = sorted(Path(spec).glob("*.tar"))
    elif Path(spec).exists():
        paths = [Path(spec)]
    else:
        paths = sorted({Path(name) for pattern in brace_patterns(spec) for name in glob.glob(pattern)})
    if not paths:
        raise UsageError(f"{spec}: no shard (*.tar) there; build them with `python -m shard_builder`, or mend the path")
    for folder in sorted({path.parent for path in paths}):
        if manifest := read_manifest(folder):
            whole_folder = Path(spec) == folder
            check_shards(folder, manifest, {path.name for path in paths if path.parent == folder}, whole_folder)
    return paths


def brace_patterns(spec: str) -> list[str]:
    try:
        return list(braceexpand(spec))
    except ValueError as error:
        raise UsageError(f"{spec}: no shard there: {error}; mend the pattern") from error


def check_shards(folder: Path, manifest: Manifest, names: set[str], whole_folder: bool) -> None:
    """Hold the named tars of a folder against its manifest, by name and size."""
    known = {shard.name: shard for shard in manifest.shards}
    if strange := sorted(names - known.keys()):
        raise DataError(f"{folder / strange[0]}: not in {MANIFEST_NAME} beside it; two builds may be mixed here")
    if lost := sorted(known.keys() - names) if whole_folder else []:
        raise DataError(f"{folder / lost[0]}: named in {MANIFEST_NAME} but not there; build the shards again")
    for name in sorted(names):
        if (size := (folder / name).stat().st_size) != known[name].num_bytes:
            raise DataError(
                f"{folder / name}: {size:,} bytes where {MANIFEST_NAME} says {known[name].num_bytes:,}: the shard is "
                "damaged; build it again"
            )
