"""A writer of official Korean: words, dates, amounts and sentences, drawn from one page's random numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from synthetic import vocabulary as v

T = TypeVar("T")
_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
_RARE_SHARE = 0.025
_DIGITS = "영일이삼사오육칠팔구"

# Particle after a vowel, for the form after a consonant that the templates name.
_AFTER_VOWEL = {"을": "를", "이": "가", "은": "는", "과": "와", "으로": "로"}


@lru_cache
def _rare_order(seed: int) -> list[str]:
    characters = v.rare_characters()
    return [characters[i] for i in np.random.default_rng([seed, 5]).permutation(len(characters))]


class Writer:
    """Writes for one page; `serial` moves the page's window in the list of rare characters."""

    def __init__(self, rng: np.random.Generator, year: int, seed: int, serial: int) -> None:
        self._rng = rng
        self._year = year
        self._rare = _rare_order(seed)
        self._next_rare = serial * 3
        self.office = self.skewed(v.OFFICES)
        self._slots: dict[str, Callable[[], str]] = {
            "n": self.noun,
            "m": lambda: self.skewed(v.MODIFIERS),
            "c": lambda: self.skewed(v.CONNECTIVES),
            "v": lambda: self.skewed(v.PREDICATES),
            "d": lambda: str(self.integer(1, 40)),
            "num": lambda: str(self.integer(2, 1200)),
            "percent": lambda: f"{self.integer(1, 1000) / 10:g}",
            "year": lambda: str(year),
            "law": lambda: self.skewed(v.LAWS),
            "latin": lambda: self.pick(v.LATIN),
            "dept": lambda: self.skewed(v.DEPARTMENTS),
            "office": lambda: self.skewed(v.OFFICES),
            "place": lambda: self.skewed(v.TOWNS),
            "person": self.person,
            "address": self.address,
            "date": self.date,
            "day": lambda: f"{self._year}.{self.integer(1, 13):02d}.{self.integer(1, 29):02d}",
            "resident": lambda: f"{self.integer(300101, 781231)}-{self.integer(1, 3)}******",
            "clock": lambda: f"{self.integer(9, 18):02d}:{self.pick(['00', '30', '00'])}",
            "won": self.amount,
            "sum": self.spelled_sum,
            "home": lambda: self.office,
            "area": lambda: f"{self.integer(20, 9000):,}" + self.pick(["", f".{self.integer(1, 10)}"]),
            "phone": self.phone,
            "doc": self.document_number,
            "zip": lambda: f"{self.integer(601, 690)}-{self.integer(701, 899)}",
            "email": lambda: f"{self.pick(v.LOGINS)}{self.integer(1, 99)}@korea.kr",
            "web": lambda: f"http://www.{self.pick(v.SITES)}.go.kr",
        }

    def integer(self, low: int, high: int) -> int:
        """Return an integer of [low, high)."""
        return int(self._rng.integers(low, high))

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._rng.integers(len(choices)))]

    def skewed(self, choices: Sequence[str]) -> str:
        """Return one of `choices`, the n-th with a weight near 1 / (n + 4)."""
        head = 4
        rank = head * ((len(choices) + head) / head) ** self._rng.random() - head
        return choices[min(int(rank), len(choices) - 1)]

    def fill(self, template: str) -> str:
        """Return the template with its {slots} filled; {n:을} takes the particle that fits the noun."""
        return _SLOT.sub(lambda match: with_particle(self._slots[match[1]](), match[2] or ""), template)

    def sentence(self) -> list[str]:
        sentence = self.fill(self.skewed(v.TEMPLATES))
        return self._sprinkle((sentence.replace(" :", ":") if self.chance(0.6) else sentence).split())

    def subject(self) -> list[str]:
        return self.words(self.pick(v.SUBJECTS))

    def words(self, template: str) -> list[str]:
        return self.fill(template).split()

    def _sprinkle(self, words: list[str]) -> list[str]:
        """Put in now and then a made-up word, so that in the long run every character occurs."""
        return [part for word in words for part in ([word, self.rare()] if self.chance(_RARE_SHARE) else [word])]

    def rare(self) -> str:
        """Return a made-up name of the next characters nobody uses, in the dress of a usual word."""
        first, second = (self._rare[(self._next_rare + i) % len(self._rare)] for i in range(2))
        self._next_rare += 2
        dress = self.pick(["{}{}", "{}{}", "{}{}면", "({}{})", "김{}{}", "{}{}리", "{}{}천"])
        return dress.format(first, second)

    def noun(self) -> str:
        """Return a noun, now and then a compound of two."""
        noun = self.skewed(v.NOUNS)
        return noun + self.skewed(v.NOUNS) if self.chance(0.56) else noun

    def person(self) -> str:
        return self.skewed(v.SURNAMES) + self.pick(v.GIVEN)

    def address(self) -> str:
        number = f"{self.integer(1, 1400)}" + self.pick(["", f"-{self.integer(1, 30)}"])
        return f"{self.skewed(v.PROVINCES)} {self.skewed(v.OFFICES)} {self.skewed(v.TOWNS)} {number}번지"

    def date(self) -> str:
        month, day = self.integer(1, 13), self.integer(1, 29)
        spaced, tight = f"{self._year}. {month}. {day}.", f"{self._year}.{month:02d}.{day:02d}"
        return self.pick([spaced, tight, f"{month}월 {day}일"])

    def amount(self) -> str:
        return f"{self.integer(1, 1000) * 10 ** self.integer(1, 7):,}"

    def spelled_sum(self) -> str:
        """Return a sum of money in figures and in words, as contracts have it."""
        digits = [self.integer(1, 10), self.integer(1, 10)]
        words = f"{_DIGITS[digits[0]]}{self.pick(['천', '백'])}{_DIGITS[digits[1]]}십만원"
        thousands = 1000 if "천" in words else 100
        return f"금{(digits[0] * thousands + digits[1] * 10) * 10_000:,}원(금{words})"

    def phone(self) -> str:
        return f"{self.pick(['', '055-', '(055)', '0525-'])}{self.integer(310, 360)}-{self.integer(2000, 8999)}"

    def document_number(self) -> str:
        return f"{self.skewed(v.DEPARTMENTS)[:2]}{self.integer(50000, 67000)}-{self.integer(1, 9999)}"


def with_particle(word: str, particle: str) -> str:
    """Return the word with the particle in the form its last sound asks for.

    >>> with_particle("도로", "을"), with_particle("사업", "을"), with_particle("시설", "으로")
    ('도로를', '사업을', '시설로')
    """
    final = (ord(word[-1]) - 0xAC00) % 28 if "가" <= word[-1] <= "힣" else 0
    is_l_before_ro = final == 8 and particle == "으로"
    return word + (_AFTER_VOWEL.get(particle, particle) if final == 0 or is_l_before_ro else particle)
