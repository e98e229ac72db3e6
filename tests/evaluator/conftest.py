"""A small world for the evaluator: drawn English pages, english_g2 twice, as baseline and as an export, and a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from easyocr_en_models import model_dir

from evaluator.evaluate import evaluate
from evaluator.report.report_files import Report
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, find_weights
from ocr.page import Page, Word, page_to_json
from ocr.shards.manifest import write_shard
from tests.evaluator.evaluated_pages import ENGLISH_CONFIG

ENGLISH = Path(model_dir()) / "english_g2.pth"


def export_english(easyocr_dir: Path, name: str, **changes: object) -> None:
    """english_g2 as the three files of a custom model; `changes` go into its YAML."""
    for folder in ("model", "user_network"):
        (easyocr_dir / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(ENGLISH, easyocr_dir / "model" / f"{name}.pth")
    network = easyocr_dir / "user_network"
    (network / f"{name}.py").write_text("from easyocr.model.vgg_model import Model  # noqa\n")
    settings: dict[str, object] = {
        "network_params": {"input_channel": 1, "output_channel": 256, "hidden_size": 256},
        "imgH": 64,
        "lang_list": ["en"],
        "character_list": EASYOCR_RECOGNIZERS["english_g2"]["characters"],
    }
    (network / f"{name}.yaml").write_text(yaml.safe_dump(settings | changes, allow_unicode=True), encoding="utf-8")


def draw_page(stem: str, lines: list[str], tilted: str = "", gap: int = 45) -> tuple[bytes, Page]:
    """JPEG bytes and label of a page of words, 520 x 360 pixels; `tilted` is one more word, turned by 15 degrees.

    Words are `gap` pixels apart: readtext's defaults glue them at 12 and not at 45.
    """
    width, height, font, scale = 520, 360, cv2.FONT_HERSHEY_SIMPLEX, 1.0
    image: np.ndarray = np.full((height, width), 240, np.uint8)
    words = []
    for row, line in enumerate(lines):
        x, baseline = 30, 60 + 60 * row
        for text in line.split():
            (text_width, ascent), descent = cv2.getTextSize(text, font, scale, 2)
            cv2.putText(image, text, (x, baseline), font, scale, 20, 2, cv2.LINE_AA)
            words.append(Word((x - 4, baseline - ascent - 4, x + text_width + 4, baseline + descent // 2 + 2), text))
            x += text_width + gap
    if tilted:
        layer: np.ndarray = np.full_like(image, 240)
        cv2.putText(layer, tilted, (160, 290), font, 1.2, 20, 2, cv2.LINE_AA)
        turn = cv2.getRotationMatrix2D((width / 2, 290), 15, 1.0)
        layer = np.asarray(cv2.warpAffine(layer, turn, (width, height), borderValue=240))
        image = np.minimum(image, layer)
        ys, xs = np.nonzero(layer < 200)
        words.append(Word((int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1), tilted))
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return encoded.tobytes(), Page(stem, "일반행정", width, height, tuple(words))


@pytest.fixture(scope="session")
def easyocr_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CRAFT, english_g2, and english_g2 under the name `finetuned`."""
    folder = tmp_path_factory.mktemp("EasyOCR")
    find_weights("craft", folder)
    find_weights("english_g2", folder)
    export_english(folder, "finetuned")
    return folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pages of words, one whose image is cut off, and a blank one, in two shards."""
    folder = tmp_path_factory.mktemp("evaluation")
    first, first_label = draw_page("page_0", ["Hello World 2024", "Minister of Seoul"], tilted="Tilted")
    second, second_label = draw_page("page_1", ["Telephone 4271", "District Office"], gap=12)
    cut, cut_label = draw_page("page_2", ["never seen"])
    blank, blank_label = draw_page("page_3", [])
    write_shard(folder / "000000.tar", [("page_0", {"jpg": first, "json": page_to_json(first_label)})])
    write_shard(
        folder / "000001.tar",
        [
            ("page_1", {"jpg": second, "json": page_to_json(second_label)}),
            ("page_2", {"jpg": cut[:500], "json": page_to_json(cut_label)}),
            ("page_3", {"jpg": blank, "json": page_to_json(blank_label)}),
        ],
    )
    return folder


@pytest.fixture(scope="session")
def evaluated(shards: Path, easyocr_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("reports") / "new" / "report"
    return evaluate(ENGLISH_CONFIG, str(shards), ("baseline", "finetuned"), easyocr_dir, cuda=False, out=out), out
