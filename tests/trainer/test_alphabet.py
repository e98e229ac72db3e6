"""The alphabet of a run: what it is, that it stays what it is, and what is said of the words it cannot write."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from ocr.charset import Charset
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, charset_of
from ocr.networks.weight_files import read_weights
from ocr.shards.manifest import Manifest, write_manifest, write_shard
from ocr.shards.shard_index import index_path
from tests.trainer.conftest import SMALL, changed, sample, train
from trainer.alphabet import alphabet_lines, charset_for
from trainer.data.sample_filter import Recipe

KOREAN = str(EASYOCR_RECOGNIZERS["korean_g2"]["characters"])
TEXTS = ["김해시", "도로를", "면적㎡", "㎡", "漢字", "漢", "를", "Ａ"]


def shard_of(folder: Path, texts: list[str], known_by: str = "manifest") -> None:
    """A shard of texts below `folder`/select_data whose characters a manifest, an index or only the tar tells."""
    path = folder / "select_data" / "000000.tar"
    record = write_shard(path, [sample(f"word-{number}", text) for number, text in enumerate(texts)])
    if known_by == "manifest":
        counts = Counter("".join(texts))
        none: dict[str, int] = {}
        manifest = Manifest(
            split="training",
            shards=(record,),
            pages=none,
            words={"written": len(texts)},
            characters=counts,
            missing=none,
            categories={},
            worker_seconds=0,
            settings={},
            inputs=(),
            fingerprint="",
            versions={},
        )
        write_manifest(path.parent, manifest)
    elif known_by == "tar":
        index_path(path).unlink()


@pytest.mark.parametrize("known_by", ["manifest", "index", "tar"])
@pytest.mark.parametrize(
    ("values", "added"),
    [
        ({"character_min_count": 1}, "㎡字漢를Ａ"),
        ({"character_min_count": 2}, "㎡漢를"),
        ({"character_min_count": 3}, ""),
        ({"character_min_count": 1, "sensitive": False}, "㎡字漢를ａ"),
        ({"character_min_count": 1, "character": "korean_g2+ksx1001+data"}, "字漢Ａ"),
        ({"character_min_count": 2, "character": "를+data"}, "㎡漢"),
        ({"character": "korean_g2+ksx1001"}, ""),
    ],
)
def test_what_the_training_texts_hold_often_enough_is_added_in_code_point_order(
    config: Config, tmp_path: Path, values: dict[str, object], added: str, known_by: str
) -> None:
    shard_of(tmp_path, TEXTS, known_by)
    config = changed(config, **{"character": "korean_g2+data", "train_data": str(tmp_path)} | values)
    found = charset_for(config).characters
    by_name = charset_of(config.character).characters
    assert found == by_name + "".join(sorted(added))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\u212b", "NFC makes another character of it"),
        ("가\u3000나", "a space that looks like the plain one"),
        ("가\u200b나", "nothing is to be seen of it"),
        ("가\n나", "a line end"),
    ],
)
def test_what_can_be_no_class_is_not_added(config: Config, tmp_path: Path, text: str, why: str) -> None:
    shard_of(tmp_path, [text, "漢"], known_by="index")
    data = changed(config, character="가나+data", character_min_count=1, train_data=str(tmp_path))
    assert charset_for(data).characters == "가나漢", why
    assert unicodedata.is_normalized("NFC", charset_for(data).characters)


def test_characters_of_urls_cannot_be_counted(config: Config) -> None:
    urls = changed(config, character="korean_g2+data", train_data="pipe:cat 000000.tar")
    with pytest.raises(UsageError, match="character: 'korean_g2.data' counts .* the URLs of train_data; take"):
        charset_for(urls)


def test_a_run_that_goes_on_keeps_the_alphabet_of_its_checkpoint(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where its name has come to mean more, as +ksx1001 may in a later version."""
    for split in ("training", "validation"):
        shard_of(tmp_path / split, ["1", "12", "漢"])
    data = {"train_data": str(tmp_path / "training"), "val_data": str(tmp_path / "validation")}
    config = changed(config, **SMALL | data | {"character": "12+data", "character_min_count": 1, "n_iter": 2})
    folder = train(config, tmp_path / "saved", tmp_path)
    assert read_weights(folder / "last.pth").character == read_weights(folder / "best_accuracy.pth").character == "12漢"
    monkeypatch.setattr("trainer.alphabet.characters_of_data", lambda _: "漢字")
    train(changed(config, n_iter=4), tmp_path / "saved", tmp_path)
    assert read_weights(folder / "last.pth").character == "12漢"
    shard_of(tmp_path / "training", ["1", "字"])
    monkeypatch.undo()
    with pytest.raises(UsageError, match="its run reads other training samples than .*training holds now"):
        train(changed(config, n_iter=6), tmp_path / "saved", tmp_path)


@pytest.mark.parametrize(
    ("character", "line"),
    [
        (
            "korean_g2",
            "alphabet: korean_g2 (1,008 characters) writes 12.50% of 8 training words, korean_g2+ksx1001 62.50%, "
            "korean_g2+data 75.00%, korean_g2+ksx1001+data 75.00%; `character: korean_g2+data` would write 5 of the 7 "
            "that it cannot",
        ),
        (
            KOREAN + "를㎡漢字Ａ",
            "alphabet: korean_g2 and 5 more (1,013 characters) writes 100.00% of 8 training words, korean_g2 12.50%, "
            "korean_g2+ksx1001 62.50%, korean_g2+data 75.00%, korean_g2+ksx1001+data 75.00%",
        ),
        (
            "korean_g2+data",
            "alphabet: korean_g2 and 3 more (1,011 characters) writes 75.00% of 8 training words, korean_g2 12.50%, "
            "korean_g2+ksx1001 62.50%, korean_g2+ksx1001+data 75.00%; no name writes more with character_min_count: 2",
        ),
    ],
)
def test_it_says_what_share_of_the_words_each_alphabet_writes(
    config: Config, tmp_path: Path, character: str, line: str
) -> None:
    shard_of(tmp_path, TEXTS)
    values = {"character": character, "character_min_count": 2, "continue_from": None, "train_data": str(tmp_path)}
    config = changed(config, **values)
    recipe = Recipe(config, charset_for(config))
    assert alphabet_lines(recipe, [tmp_path / "select_data" / "000000.tar"], tmp_path) == [line]


def test_lower_case_texts_are_counted_as_they_are_compared(config: Config, tmp_path: Path) -> None:
    shard_of(tmp_path, ["AB", "Ac"])
    config = changed(config, character="ab", sensitive=False, continue_from=None, train_data=str(tmp_path))
    (line,) = alphabet_lines(Recipe(config, Charset("ab")), [tmp_path / "select_data" / "000000.tar"], tmp_path)
    assert line.startswith("alphabet: 2 characters writes 50.00% of 2 training words, korean_g2 100.00%")


def test_it_says_which_classes_are_new(config: Config, tmp_path: Path) -> None:
    recipe = Recipe(changed(config, character="korean_g2+ksx1001"), charset_of("korean_g2+ksx1001"))
    (line,) = alphabet_lines(recipe, [], tmp_path)
    path = tmp_path / "model" / "english_g2.pth"
    assert line == f"{path}: of its 96 characters 96 keep their weights, 2,837 of the alphabet's are new"
    unchanged = Recipe(config, charset_of(config.character))
    another_head = Recipe(changed(recipe.config, Prediction="Attn", strict=False), recipe.charset)
    assert alphabet_lines(unchanged, [], tmp_path) == alphabet_lines(another_head, [], tmp_path) == []


def test_a_run_says_it_once(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(config, **SMALL | {"character": "01234567"})
    for n_iter in (2, 4):
        folder = train(changed(config, n_iter=n_iter), tmp_path / "saved", tmp_path)
    log = (folder / "log_dataset.txt").read_text(encoding="utf-8")
    said = "alphabet: 8 characters writes"
    assert log.count(said) == capsys.readouterr().out.count(said) == 1


def test_an_alphabet_that_writes_nothing_ends_with_the_reasons(config: Config, tmp_path: Path) -> None:
    shard_of(tmp_path, TEXTS)
    hopeless = changed(config, character="012", continue_from=None, train_data=str(tmp_path))
    with pytest.raises(DataError, match="no sample can be trained on: 8 character outside the alphabet; look at char"):
        train(hopeless, tmp_path / "saved", tmp_path)
