"""The story of the web page: data, page images and plots, from the readings to `index.html`.

1. Code and strings are copied, the list and the worst words of each system written.
2. The page images go by once more, one at a time: scan, thumbnail and patches shrink, and the page's words stand in a
   file of their own, which the browser loads when somebody looks at the page.
3. `index.html` comes last: where it is, the folder beside it is whole and of the same run.

Everything works from file://, where scripts may be loaded but not fetched: data are scripts that call a function.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jinja2
import msgspec
from joblib import Parallel, delayed
from markupsafe import Markup, escape

from evaluator.html.outcomes import FATES
from evaluator.html.overview import COMPARED_FIGURES, GROUPINGS, RESULT_FIGURES, Comparisons, overview
from evaluator.html.page_data import (
    ListedPage,
    ListedSystem,
    PredictedWord,
    ReferenceWord,
    listed_page,
    page_data,
    page_name,
    readings_of,
)
from evaluator.html.plots import LETTERS
from evaluator.html.scans import write_scan
from evaluator.html.worst_words import WorstWord, patches_by_page, worst_words
from evaluator.metrics.end_to_end import PageReading
from evaluator.report.report_files import Report
from ocr.errors import UsageError
from ocr.page import Box, Page
from ocr.plumbing.files import write_whole
from ocr.plumbing.progress import progress

HERE = Path(__file__).parent
FOLDER, DATA_NAME = "html", "data.js"
SCRIPTS = ("settings", "store", "dom", "list", "words", "stage", "viewer", "keys", "app")
"""In the order the page loads them; `settings` comes early, so that a dark page never flashes white."""

ARRAYS = (ListedPage, ListedSystem, ReferenceWord, PredictedWord, WorstWord)
"""What is an array in JSON; the browser is told which place means what."""

Readings = Mapping[str, Mapping[str, PageReading]]
"""By system, then by page."""


def write_html(
    report: Report,
    comparisons: Comparisons,
    labels: Mapping[str, Page],
    readings: Readings,
    images: Iterable[tuple[str, bytes | None]],
    out: Path,
    given_boxes: Collection[str] = (),
) -> Path:
    """Write `index.html` and what it shows to `out`; gives its path.

    `comparisons` are the differences to show, by name, then by figure. Systems are shown in the order of `readings`;
    those in `given_boxes` read the labels' boxes, and are neither the best nor the one a reader sees first.
    `images` holds the image of every page in `labels`, in any order; a few at a time are in memory. The same input
    gives the same bytes.
    """
    index = render_index(report, comparisons, labels, readings, given_boxes)
    worst = {system: worst_words(labels, by_page) for system, by_page in readings.items()}
    with replaced_folder(out) as folder:
        write_data(folder, report, labels, readings, worst, given_boxes)
        write_pages(folder, report, labels, readings, images, patches_by_page(worst.values()))
    with write_whole(out / "index.html") as file:
        file.write(index.encode())
    return out / "index.html"


def check_replaceable(out: Path) -> None:
    """Raise UsageError where a report would take the place of something that is none."""
    for theirs in (out / FOLDER, out / "index.html"):
        if theirs.exists() and not (out / FOLDER / DATA_NAME).exists():
            raise UsageError(f"{theirs}: is not of a report, and would be replaced; choose another --out")


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """A folder to fill that takes the old one's place when the block ends without an error."""
    filling, old = out / f".{FOLDER}.unfinished", out / f".{FOLDER}.replaced"
    remove_folder(filling)  # of a run that was killed
    remove_folder(old)
    for name in ("pages", "scans", "thumbnails", "patches"):
        (filling / name).mkdir(parents=True)
    try:
        yield filling
        # Without index.html nobody opens a folder that is half of one run and half of another.
        (out / "index.html").unlink(missing_ok=True)
        if (out / FOLDER).exists():
            os.replace(out / FOLDER, old)
        os.replace(filling, out / FOLDER)
    finally:
        remove_folder(filling)
        remove_folder(old)


def remove_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def write_data(
    folder: Path,
    report: Report,
    labels: Mapping[str, Page],
    readings: Readings,
    worst: Mapping[str, list[WorstWord]],
    given_boxes: Collection[str],
) -> None:
    for asset in sorted((HERE / "assets").iterdir()):
        shutil.copyfile(asset, folder / asset.name)
    rows = [
        listed_page(key, label, readings_of(key, readings), report.pages.failed.get(key, ""))
        for key, label in labels.items()
    ]
    data = {
        "strings": read_strings(),
        "fates": FATES,
        "places": {struct.__name__: struct.__struct_fields__ for struct in ARRAYS},
        "systems": list(readings),
        # What the run was made for is the last one that finds its own words.
        "first_shown": max((n for n, name in enumerate(readings) if name not in given_boxes), default=0),
        "pages": rows,
    }
    write_script(folder / DATA_NAME, "const REPORT = ", data)
    for number, words in enumerate(worst.values()):
        write_script(folder / f"worst-{number}.js", f"store.receive('worst-{number}', ", words, ")")


def write_pages(
    folder: Path,
    report: Report,
    labels: Mapping[str, Page],
    readings: Readings,
    images: Iterable[tuple[str, bytes | None]],
    patches: Mapping[int, Mapping[str, Box]],
) -> None:
    """The images and words of every page. Threads, since OpenCV works without Python's lock; a few pages ahead."""
    numbers = {key: number for number, key in enumerate(labels)}

    def write_page(key: str, jpg: bytes | None) -> None:
        number, failed = numbers[key], key in report.pages.failed
        name = page_name(number)
        # A page that failed may hold an image all the same, of another size than its label: boxes would lie elsewhere.
        scan = not failed and write_scan(jpg, name, patches.get(number, {}), folder)
        data = page_data(labels[key], readings_of(key, readings), scan)
        write_script(folder / "pages" / f"{name}.js", f"store.receive('pages/{name}', ", data, ")")

    num_threads = min(8, os.cpu_count() or 1)
    threads = Parallel(num_threads, backend="threading", return_as="generator", pre_dispatch="2*n_jobs")
    written = threads(delayed(write_page)(key, jpg) for key, jpg in images)
    for _ in progress(written, "report", "pages", total=len(labels)):
        pass


def write_script(path: Path, before: str, value: object, after: str = "") -> None:
    path.write_text(f"{before}{to_script(value)}{after};\n", encoding="utf-8")


def to_script(value: object) -> str:
    """JSON that is safe in JavaScript of any age, in HTML, too: no `</script>` and no line separator gets through."""
    text = msgspec.json.encode(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def read_strings() -> dict[str, list[str]]:
    """All words of the page itself, each in English and in Korean."""
    return msgspec.json.decode((HERE / "strings.json").read_bytes(), type=dict[str, list[str]])


def render_index(
    report: Report,
    comparisons: Comparisons,
    labels: Mapping[str, Page],
    readings: Readings,
    given_boxes: Collection[str],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    strings = read_strings()

    def translated(key: str) -> Markup:
        """English, which the page's script replaces by what `data-t` names in the language chosen."""
        return Markup(f'<span data-t="{escape(key)}">{escape(strings[key][0])}</span>')

    def breakable(name: str) -> Markup:
        """A system's name, which may go on in the next line after a "+"."""
        return escape(name).replace("+", Markup("+<wbr>"))

    return environment.get_template("index.html").render(
        t=translated,
        breakable=breakable,
        overview=overview(report, comparisons, readings, given_boxes),
        pages=report.pages,
        num_words=sum(len(label.words) for label in labels.values()),
        has_string=strings.__contains__,
        folder=FOLDER,
        markers=LETTERS,
        scripts=SCRIPTS,
        result_figures=RESULT_FIGURES,
        compared_figures=COMPARED_FIGURES,
        groupings=GROUPINGS,
    )
