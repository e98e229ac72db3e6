"""How the sheet of paper lies on the scanner's glass: from layout coordinates to page pixels and back.

Layout coordinates are 300-dpi pixels on a sheet whose letters have their natural width. The page has wider or narrower
letters (`stretch`), is turned by a fraction of a degree, and is scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """One sheet's size in layout coordinates and its way onto the page."""

    width: float
    height: float
    stretch: float
    degrees: float
    scale: float

    @property
    def page_size(self) -> tuple[int, int]:
        """Width and height of the page in pixels."""
        return round(self.width * self.stretch * self.scale), round(self.height * self.scale)

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Width and height of the canvas that is drawn on: the layout, scaled but neither stretched nor turned."""
        return math.ceil(self.width * self.scale), math.ceil(self.height * self.scale)

    @cached_property
    def canvas_to_page(self) -> Matrix:
        """The affine map (2, 3) of canvas pixels to page pixels."""
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        turn = np.array([[cos * self.stretch, -sin], [sin * self.stretch, cos]])
        canvas_center = np.array([self.width, self.height]) * self.scale / 2
        return np.column_stack([turn, np.array(self.page_size) / 2 - turn @ canvas_center])

    def to_page(self, corners: Matrix) -> Matrix:
        """Map canvas points (N, 2) to page pixels (N, 2)."""
        return corners @ self.canvas_to_page[:, :2].T + self.canvas_to_page[:, 2]

    def to_layout(self, x: float, y: float) -> tuple[float, float]:
        """Return the layout point that ends at (x, y) of the page, given in 300-dpi pixels."""
        point = np.array([x, y]) * self.scale - self.canvas_to_page[:, 2]
        layout = np.linalg.solve(self.canvas_to_page[:, :2], point) / self.scale
        return float(layout[0]), float(layout[1])


def draw_geometry(rng: np.random.Generator, scale: float) -> Geometry:
    """Return the geometry of a scanned A4 sheet: 2437 to 2525 by 3496 to 3557 pixels at scale 1."""
    stretch = float(rng.choice([1.08, 1.0, 0.94, 0.88], p=[0.35, 0.4, 0.15, 0.1]))
    width, height = int(rng.integers(2437, 2526)), int(rng.integers(3496, 3558))
    degrees = float(np.clip(rng.normal(0, 0.35), -0.9, 0.9))
    return Geometry(width / stretch, height, stretch, degrees, scale)
