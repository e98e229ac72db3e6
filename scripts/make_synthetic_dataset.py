"""Write a made-up data set of the shape of AI-Hub's 공공행정문서 OCR: zips of scanned Korean letters and their labels.

The real set may not be passed on. This one has its names, its labels, its oddities and roughly its looks, so that the
whole project runs on it. The same arguments and package versions give the same bytes, whatever --workers says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from synthetic.page import make_page
from synthetic.plan import PagePlan, Split, plan_split
from synthetic.zips import JUNK, AiHubZip, create_zip

from ocr.errors import UsageError, run_command
from ocr.plumbing.progress import progress

PAGES_A_ZIP = 20_000


def main() -> None:
    arguments = parse_arguments()
    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is there already and not an empty folder; name another")
    splits: dict[Split, int] = {"Training": arguments.training, "Validation": arguments.validation}
    plans = {split: plan_split(arguments.seed, split, num_pages) for split, num_pages in splits.items()}
    draw = partial(make_page, scale=arguments.scale, system_fonts=arguments.system_fonts)
    with page_mapper(arguments.workers) as map_pages:
        for split, split_plans in plans.items():
            (out / split).mkdir(parents=True)
            write_split(out / split, split, split_plans, map_pages(draw, split_plans))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write synthetic zips of the shape of AI-Hub's 공공행정문서 OCR.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make; must be empty or absent")
    parser.add_argument("--training", type=_at_least(1), required=True, metavar="N", help="training pages")
    parser.add_argument("--validation", type=_at_least(1), required=True, metavar="N", help="validation pages")
    parser.add_argument("--scale", type=_scale, default=1.0, metavar="S", help="1 is 300 dpi (default), 0.5 half of it")
    parser.add_argument("--seed", type=_at_least(0), default=0, metavar="K", help="default 0")
    parser.add_argument(
        "--workers", type=_at_least(1), default=os.cpu_count() or 1, metavar="W", help="default all cores"
    )
    parser.add_argument("--system-fonts", action="store_true", help="use the Korean fonts of this machine as well")
    return parser.parse_args()


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return int(text)

    return integer


def _scale(text: str) -> float:
    if not 0.1 <= float(text) <= 2:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 2")
    return float(text)


MapPages = Callable[[Callable[[PagePlan], tuple[bytes, bytes]], Iterable[PagePlan]], Iterator[tuple[bytes, bytes]]]


@contextmanager
def page_mapper(num_workers: int) -> Iterator[MapPages]:
    """Yield a `map` that keeps the order: the builtin, or that of a pool of processes."""
    if num_workers == 1:
        yield map
        return
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=4)


def write_split(folder: Path, split: Split, plans: list[PagePlan], pages: Iterator[tuple[bytes, bytes]]) -> None:
    """Write one split's zips, pages in the order of their plans."""
    label_zip, image_zips = zip_names(split, len(plans))
    with ExitStack() as stack:
        labels = stack.enter_context(create_zip(folder / label_zip))
        images = [stack.enter_context(create_zip(folder / name)) for name in image_zips]
        write_junk(labels, images[0])
        drawn = progress(zip(plans, pages, strict=True), f"draw {split}", "pages", total=len(plans))
        for i, (plan, (image, label)) in enumerate(drawn):
            rng = plan.generator(purpose=4)
            deflate_image, deflate_label = rng.random() < 0.2, rng.random() < 0.85
            if plan.part != "label":
                images[i * len(images) // len(plans)].write(plan.image_name, image, deflate_image)
            if plan.part != "image":
                labels.write(plan.label_name, label, deflate_label)
    print(f"{folder}: {sum(plan.part == 'pair' for plan in plans)} pages", flush=True)


def zip_names(split: Split, num_pages: int) -> tuple[str, list[str]]:
    if split == "Validation":
        return "[라벨]validation.zip", ["[원천]validation.zip"]
    num_zips = max(2, -(-num_pages // PAGES_A_ZIP))
    return "[라벨]train.zip", [f"[원천]train{number}.zip" for number in range(1, num_zips + 1)]


def write_junk(*archives: AiHubZip) -> None:
    """Leave in each zip what macOS leaves there."""
    for archive in archives:
        for name, content in JUNK.items():
            archive.write(name, content, deflate=False)


if __name__ == "__main__":
    run_command(main)
