"""The whole way, once: zips -> shards -> two ranks on gloo -> export -> EasyOCR's Reader -> report."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import easyocr
import numpy as np
import pytest
import webdataset as wds

from ocr.page import Page, crop, page_from_json
from ocr.recognizer import Recognizer
from ocr.shards.manifest import find_shards

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
README = ROOT / "README.md"
NUM_PAGES = 2


SMALL = f"""train_images=4 val_images=2 eval_images={NUM_PAGES} continue_from=english_g2 adam=True
lr=0.001 workers=1 batch_size=8 n_iter=8 val_period=4 baseline_model=english_g2""".split()


def command(*arguments: object, folder: Path) -> str:
    """Run a command as a user does, in `folder`, with this Python's programs first; gives what it printed."""
    result = subprocess.run(
        [*map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the five steps have run once, on a small data set and for a few iterations."""
    folder = tmp_path_factory.mktemp("world")
    draw = ROOT / "scripts" / "make_synthetic_dataset.py"
    command("python", draw, "dataset", "--training", 4, "--validation", 4, "--scale", 0.3, folder=folder)
    command("bash", SCRIPTS / "step2_prepare_dataset.sh", "--dataset=dataset", *SMALL, folder=folder)
    config, easyocr_dir = ROOT / "configs" / "korean_g2.yaml", ("--easyocr-dir", "EasyOCR")
    torchrun = ("torchrun", "--standalone", "--nproc-per-node", 2, "-m", "trainer", "--config", config)
    command(*torchrun, *easyocr_dir, *SMALL, folder=folder)
    printed = command("bash", SCRIPTS / "step3_train.sh", *easyocr_dir, *SMALL, folder=folder)
    assert "already trained for 8 iterations" in printed
    command("bash", SCRIPTS / "step4_set_finetuned_model.sh", *easyocr_dir, folder=folder)
    printed = command("bash", SCRIPTS / "step5_evaluate.sh", *easyocr_dir, *SMALL, folder=folder)
    (folder / "table.txt").write_text(printed, encoding="utf-8")
    return folder


def evaluation_pages(world: Path) -> list[tuple[np.ndarray, Page]]:
    """Each evaluation page in grey, (H, W), with its label."""
    shards = [str(path) for path in find_shards(str(world / "shards" / "evaluation"))]
    return [
        (np.asarray(cv2.imdecode(np.frombuffer(sample["jpg"], np.uint8), 0)), page_from_json(sample["json"]))
        for sample in wds.WebDataset(shards, shardshuffle=False)
    ]


def test_shards_lie_where_the_readme_says(world: Path) -> None:
    for folder in ("training/select_data", "validation/select_data", "evaluation"):
        assert (world / "shards" / folder / "000000.tar").exists()
        assert (world / "shards" / folder / "manifest.json").exists()


def test_no_page_is_in_two_splits(world: Path) -> None:
    def stems(split: str) -> set[str]:
        shards = [str(path) for path in find_shards(str(world / "shards" / split))]
        return {sample["__key__"].partition("_")[0] for sample in wds.WebDataset(shards, shardshuffle=False)}

    training, validation = stems("training/select_data"), stems("validation/select_data")
    evaluation = stems("evaluation")
    assert (len(training), len(validation), len(evaluation)) == (4, 2, NUM_PAGES)
    assert len(training | validation | evaluation) == 6 + NUM_PAGES


def test_two_ranks_wrote_one_log(world: Path) -> None:
    log = (world / "saved_models" / "korean_g2" / "log_train.txt").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if line.startswith("[")] == ["[4/8]", "[8/8]"]


def test_the_reader_gives_the_texts_of_our_recognizer(world: Path) -> None:
    reader = easyocr.Reader(
        ["ko", "en"],
        gpu=False,
        recog_network="finetuned",
        model_storage_directory=str(world / "EasyOCR" / "model"),
        user_network_directory=str(world / "EasyOCR" / "user_network"),
        download_enabled=False,
        quantize=False,
    )
    recognizer = Recognizer.load(world / "saved_models" / "korean_g2" / "best_norm_ed.pth")
    grey, _ = evaluation_pages(world)[0]
    readings = [reading for reading in reader.readtext(grey) if is_upright(reading[0])]
    boxes = [(int(x0), int(y0), int(x1), int(y1)) for ((x0, y0), _, (x1, y1), _), _, _ in readings]
    ours = recognizer.read([crop(grey, box) for box in boxes])
    assert len(readings) > 20
    assert [text for text, _ in ours] == [text for _, text, _ in readings]
    assert [confidence for _, confidence in ours] == pytest.approx([sure for _, _, sure in readings], abs=1e-3)


def is_upright(quad: list[list[float]]) -> bool:
    """Tilted words are warped, not cropped, by the Reader."""
    (x0, y0), (x1, _), (_, y1), _ = quad
    return quad == [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def test_the_report_says_which_part_brings_what(world: Path) -> None:
    report = json.loads((world / "report" / "report.json").read_text(encoding="utf-8"))
    num_reference = sum(len(label.words) for _, label in evaluation_pages(world))
    for name, system in report["systems"].items():
        assert system["pages"] == NUM_PAGES
        assert system["detection"]["num_reference"] == num_reference
        assert 0 <= system["end_to_end"]["f1"] <= system["detection"]["f1"] <= 1
        assert system["detection"] == report["systems"][name.replace("finetuned", "baseline")]["detection"]
    found = {name: system["detection"]["f1"] for name, system in report["systems"].items()}
    assert found["easyocr+finetuned"] < found["words+finetuned"] < found["reference+finetuned"]
    with (world / "report" / "pages.csv").open(encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 6 * NUM_PAGES
    table = (world / "table.txt").read_text(encoding="utf-8")
    assert all(word in table for word in ("baseline", "finetuned", "detection F1", "CER", "end-to-end F1", "report.md"))


def test_the_readmes_python_does_the_same(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same data set; its shards are there already. Last, because it exports another `finetuned`."""
    (example,) = re.findall(r"## From Python\n.*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(world)
    monkeypatch.setenv("EASYOCR_MODULE_PATH", str(world / "EasyOCR"))
    # Readers of other tests have left their `finetuned` where Python finds it, and EasyOCR would take that.
    monkeypatch.setattr(sys, "path", [place for place in sys.path if Path(place).name != "user_network"])
    monkeypatch.delitem(sys.modules, "finetuned", raising=False)
    mine = "\n".join(SMALL).replace("n_iter=8", "n_iter=2").replace("val_period=4", "val_period=2").replace("=", ": ")
    (world / "mine.yaml").write_text(mine, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["manifests"]["training"].pages["written"] == 4
    assert names["run"].iterations == 2
    assert names["run"].folder == Path("saved_models/first")
    assert names["run"].best_norm_ed_path.exists() and names["run"].best_accuracy_path.exists()
    assert 0 <= names["run"].best_norm_ed <= 1
    assert all(0 <= system.end_to_end.f1 <= 1 for system in names["report"].systems.values())
    assert names["report"].pages.read == NUM_PAGES
