"""A page's label file as AI-Hub writes it, with the oddities its readers meet."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np

from ocr.page import Box
from synthetic.plan import PagePlan

Annotation = dict[str, Any]


def label_file(plan: PagePlan, width: int, height: int, words: list[tuple[Box, str]]) -> bytes:
    """Return the JSON file that says what stands on the page; boxes come as (x0, y0, x1, y1)."""
    rng = plan.generator(purpose=3)
    annotations = _shuffle([_annotation(box, text) for box, text in words], rng)
    annotations = _spoil(annotations, plan.oddities, rng)
    _number(annotations, "repeated id" in plan.oddities, rng)
    document = {"images": [_image(plan, width, height, rng)], "annotations": annotations}
    content = json.dumps(document, ensure_ascii=False).encode()
    return b"\xef\xbb\xbf" + content if "bom" in plan.oddities else content


def _image(plan: PagePlan, width: int, height: int, rng: np.random.Generator) -> Annotation:
    day, hour, minute, second = (int(rng.integers(low, high)) for low, high in ((1, 31), (0, 24), (0, 60), (0, 60)))
    return {
        "image.make.code": plan.code,
        "image.make.year": str(plan.year),
        "image.category": plan.category,
        "image.width": width,
        "image.height": height,
        "image.file.name": plan.stem + ".jpg",
        "image.create.time": f"2020-{int(rng.integers(10, 13))}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}",
    }


def _annotation(box: Box, text: str) -> Annotation:
    x0, y0, x1, y1 = box
    return {
        "id": 0,
        "annotation.type": "rectangle",
        "annotation.text": text,
        "annotation.ttype": "textType1",
        "annotation.bbox": [x0, y0, x1 - x0, y1 - y0],
    }


def _shuffle(annotations: list[Annotation], rng: np.random.Generator) -> list[Annotation]:
    """Put runs of annotations in another order, as several people working through a page do."""
    cuts = np.sort(rng.integers(0, len(annotations) + 1, size=6))
    runs = [list(run) for run in np.split(np.arange(len(annotations)), cuts)]
    order = [i for run in rng.permutation(len(runs)) for i in (runs[run] if rng.random() < 0.7 else runs[run][::-1])]
    return [annotations[i] for i in order]


def _spoil(annotations: list[Annotation], oddities: frozenset[str], rng: np.random.Generator) -> list[Annotation]:
    """Add what should not be there. Nothing true about the page is lost but one text, where "empty text" says so."""
    spoiled = list(annotations)
    hangul = [annotation for annotation in annotations if any("가" <= c <= "힣" for c in annotation["annotation.text"])]
    decomposed, emptied, clicked, doubled = (hangul[i] for i in rng.permutation(len(hangul))[:4])
    if "nfd" in oddities:
        decomposed["annotation.text"] = unicodedata.normalize("NFD", decomposed["annotation.text"])
    if "empty text" in oddities:
        emptied["annotation.text"] = ""
    if "zero area" in oddities:
        x, y, _, height = clicked["annotation.bbox"]
        spoiled.insert(int(rng.integers(len(spoiled))), _annotation((x, y, x, y + height), clicked["annotation.text"]))
    if "duplicate" in oddities:
        spoiled.append(dict(doubled))
    return spoiled


def _number(annotations: list[Annotation], repeat: bool, rng: np.random.Generator) -> None:
    """Give ids that rise with gaps; where `repeat`, some ids occur twice."""
    number = 0
    for annotation in annotations:
        number += int(rng.integers(1, 4)) if rng.random() < 0.1 else 1
        annotation["id"] = number
    if repeat:
        for i in rng.integers(1, len(annotations), size=3):
            annotations[i]["id"] = annotations[i - 1]["id"]
