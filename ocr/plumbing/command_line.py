"""What the command lines of all rooms share: how they are called, and where the config comes from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EPILOG = """\
example:
  {example}

Every config key, its default and what it means, as a file to start from:
  %(prog)s --help-config > mine.yaml
"""


def command_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """The parser of `python -m module` or of the program that is installed for it, with the options of the config.

    `example` is what may stand behind the command's name; the parsed `config` is a path or None, `overrides` a list of
    `key=value`. Parse with `parse_intermixed_args`.
    """
    called = Path(sys.argv[0]).name
    prog = f"python -m {module}" if called in ("__main__.py", "-c", "-m") else called
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=EPILOG.format(example=f"%(prog)s {example}"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="YAML", help="default: the values of --help-config")
    parser.add_argument("--help-config", action=ShowConfig, help="print every config key, explained, and exit")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config values on top of the file's")
    return parser


class ShowConfig(argparse.Action):
    """Print the explained config and exit."""

    def __init__(self, option_strings: Sequence[str], dest: str, **values: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **values)

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        print(explained_config().read_text(encoding="utf-8"), end="")
        parser.exit()


def explained_config() -> Path:
    """korean_g2.yaml, which explains every key: inside this package where it is installed, else in the checkout."""
    here = Path(__file__).parents[1]
    installed = here / "configs" / "korean_g2.yaml"
    return installed if installed.exists() else here.parent / "configs" / "korean_g2.yaml"
