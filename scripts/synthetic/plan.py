"""What each page is, before anything is drawn: its name, category and year, and which oddities of AI-Hub it shows.

The rates are those a reader of the real set has to live with. Every oddity also has one page that shows it for certain,
so that a set of a few pages holds them all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["Training", "Validation"]
Part = Literal["pair", "image", "label"]

# Category: its share (165, 90 and 75 of 500 pages are known, and that the smallest had 1) and its 7-digit codes.
CATEGORIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "인.허가": (165, ("5350109", "5350093", "5350127", "5350141")),
    "주민자치": (90, ("5350036", "5350044", "5350051")),
    "회계.예산": (75, ("5350012", "5350018", "5350025")),
    "일반행정": (48, ("5350001", "5350004", "5350007")),
    "도시개발": (36, ("5350156", "5350162")),
    "농림.축산지원": (28, ("5350178", "5350183")),
    "주민복지": (22, ("5350066", "5350072")),
    "지역환경.산림": (14, ("5350201", "5350207")),
    "주민생활지원": (10, ("5350080",)),
    "산업진흥": (7, ("5350214",)),
    "지역문화": (4, ("5350222",)),
    "상.하수도관리": (1, ("5350230",)),
}

ODDITY_RATES: dict[str, float] = {
    "bom": 0.04,  # the JSON starts with a UTF-8 byte order mark
    "upper image": 0.015,  # .JPG
    "upper label": 0.015,  # .JSON
    "nfd": 0.01,  # a text in decomposed Hangul
    "duplicate": 0.03,  # one annotation twice, box and text
    "zero area": 0.02,  # a stray click: a box of no width
    "empty text": 0.03,  # a box nobody transcribed
    "repeated id": 0.08,
    "left edge": 0.06,  # a word so near the left edge that its box starts at a negative x
    "right edge": 0.06,  # one whose box runs out of the page
    "vertical": 0.4,  # top-to-bottom words in form cells
    "grey": 0.03,  # a JPEG of one channel
}
_LONE_RATE = 0.005
_FIRST_NUMBER = {"Training": 1, "Validation": 7001}


@dataclass(frozen=True)
class PagePlan:
    """All that decides a page; equal plans give equal bytes.

    `part` tells what of the page reaches the zips: a "pair", or only the "image" or only the "label".
    """

    seed: int
    split: Split
    index: int
    part: Part
    category: str
    code: str
    year: int
    number: int
    oddities: frozenset[str]

    @property
    def folder(self) -> str:
        return f"{self.category}/{self.code}/{self.year}"

    @property
    def stem(self) -> str:
        return f"{self.code}-{self.year}-0001-{self.number:04d}"

    @property
    def image_name(self) -> str:
        return f"02.원천데이터(jpg)/{self.folder}/{self.stem}.{'JPG' if 'upper image' in self.oddities else 'jpg'}"

    @property
    def label_name(self) -> str:
        return f"02.라벨링데이터(json)/{self.folder}/{self.stem}.{'JSON' if 'upper label' in self.oddities else 'json'}"

    def generator(self, purpose: int) -> np.random.Generator:
        """Return this page's own random numbers, a stream for each purpose, so that no part disturbs another."""
        return np.random.default_rng([self.seed, int(self.split == "Validation"), self.index, purpose])


def plan_split(seed: int, split: Split, num_pages: int) -> list[PagePlan]:
    """Plan `num_pages` whole pages and, beside them, some images without a label and some labels without an image."""
    num_lone = max(1, round(num_pages * _LONE_RATE))
    shares: tuple[tuple[Part, int], ...] = (("pair", num_pages), ("image", num_lone), ("label", num_lone))
    parts = [part for part, count in shares for _ in range(count)]
    rng = np.random.default_rng([seed, int(split == "Validation")])
    pairs = iter(range(num_pages))
    numbers: Counter[tuple[str, int]] = Counter()
    plans = []
    for index, part in enumerate(parts[i] for i in rng.permutation(len(parts))):
        category, code, year = _draw_origin(rng)
        numbers[code, year] += int(rng.integers(1, 4))
        number = _FIRST_NUMBER[split] + numbers[code, year]
        oddities = _draw_oddities(rng, next(pairs) if part == "pair" else None, num_pages)
        plans.append(PagePlan(seed, split, index, part, category, code, year, number, oddities))
    return plans


def _draw_origin(rng: np.random.Generator) -> tuple[str, str, int]:
    weights = np.array([share for share, _ in CATEGORIES.values()], dtype=float)
    category = list(CATEGORIES)[int(rng.choice(len(CATEGORIES), p=weights / weights.sum()))]
    codes = CATEGORIES[category][1]
    # 1994 to 2013, most of them around 2001.
    return category, codes[int(rng.integers(len(codes)))], 1994 + int(rng.binomial(19, 0.4))


def _draw_oddities(rng: np.random.Generator, pair: int | None, num_pages: int) -> frozenset[str]:
    drawn = {name for name, rate in ODDITY_RATES.items() if rng.random() < rate}
    certain = {name for slot, name in enumerate(ODDITY_RATES) if pair is not None and slot % num_pages == pair}
    return frozenset(drawn | certain)
