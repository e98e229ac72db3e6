"""One page from plan to files."""

from __future__ import annotations

from synthetic.draw import draw
from synthetic.fonts import bundled_faces, system_faces
from synthetic.geometry import draw_geometry
from synthetic.labels import label_file
from synthetic.letter import lay_out
from synthetic.plan import PagePlan
from synthetic.scan import scan


def make_page(plan: PagePlan, scale: float, system_fonts: bool) -> tuple[bytes, bytes]:
    """Return the page's JPEG file and its JSON label file."""
    rng = plan.generator(purpose=2)
    geometry = draw_geometry(rng, scale)
    faces = bundled_faces() + (system_faces() if system_fonts else ())
    sheet = lay_out(plan, geometry, faces)
    drawing = draw(sheet, rng)
    image = scan(drawing, geometry, "grey" in plan.oddities, rng)
    return image, label_file(plan, *geometry.page_size, drawing.words)
