"""How fluid the report is: a large sample is written, opened in Chromium, and gone through as a reader does.

Times are the browser's own, from the action to the frame that shows its result.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from chromium import BROWSER, DRIVER, MISSING, open_chromium
from sample_report import GIVEN_BOXES, draw_pages, make_readings
from selenium import webdriver

from evaluator.html.write import write_html
from ocr.errors import UsageError, run_command

NUM_TURNS = 40

LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
MEASURE = """
const done = arguments[arguments.length - 1];
const started = performance.now();
const painted = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
"""
BEFORE = "const before = $('boxes').firstChild;"
WAIT = """
(function look() {
  if ($('boxes').firstChild !== before && $('scan').complete) $('scan').decode().then(painted, painted);
  else setTimeout(look, 1);
})();
"""
SHOW_LIST = MEASURE + "app.go({view: 'list'}); painted();"
SORT = MEASURE + "document.querySelector('#list-head [data-column=wrong] button').click(); painted();"
FILTER = MEASURE + "$('list-state').value = 'errors'; list.update(); painted();"
SHOW_PAGE = MEASURE + BEFORE + "app.go({view: 'page', page: 0});" + WAIT
TURN = MEASURE + BEFORE + "app.turn(1);" + WAIT
SHOW_WORDS = (
    MEASURE
    + "app.go({view: 'words'}); (function look() { $('cards').firstChild ? painted() : setTimeout(look, 1); })();"
)


def main() -> None:
    arguments = parse_arguments()
    if not (BROWSER and DRIVER):
        raise UsageError(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        index = write_sample(Path(folder) / "report", arguments)
        browser = open_chromium(Path(folder) / "profile")
        try:
            measure(browser, index.as_uri())
        finally:
            browser.quit()


def write_sample(out: Path, arguments: argparse.Namespace) -> Path:
    drawn = draw_pages(arguments.drawn, arguments.scale, seed=0)
    report, labels, readings, images = make_readings(drawn, arguments.pages, num_failed=3, seed=0)
    started = perf_counter()
    index = write_html(report, report.effects, labels, readings, images, out, GIVEN_BOXES)
    seconds = perf_counter() - started
    sizes = [file.stat().st_size for file in out.rglob("*") if file.is_file()]
    words = sum(len(label.words) for label in labels.values()) / len(labels)
    shape = f"{len(labels):,} pages x {words:.0f} words x {len(readings)} systems"
    print(f"{shape}: {sum(sizes) / 1e6:.0f} MB in {len(sizes):,} files, {seconds:.0f} s")
    return index


def measure(browser: webdriver.Chrome, url: str) -> None:
    browser.get(url)
    show("overview, loaded", browser.execute_script(LOADED))
    show("list", browser.execute_async_script(SHOW_LIST))
    show("list, sorted", browser.execute_async_script(SORT))
    show("list, filtered", browser.execute_async_script(FILTER))
    show("first page", browser.execute_async_script(SHOW_PAGE))
    turns = [browser.execute_async_script(TURN) for _ in range(NUM_TURNS)]
    show(f"next page, median of {NUM_TURNS}", statistics.median(turns))
    show(f"next page, slowest of {NUM_TURNS}", max(turns))
    show("worst words", browser.execute_async_script(SHOW_WORDS))


def show(what: str, milliseconds: float) -> None:
    print(f"{what:<32}{milliseconds:7.0f} ms")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the report's web page in Chromium.")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--drawn", type=int, default=8, help="different ones among them (default %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 300 dpi (default)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
