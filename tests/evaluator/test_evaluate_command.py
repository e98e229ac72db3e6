"""`python -m evaluator` as users call it: two ranks, shards of any place, and all that can be wrong with a question."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest
import torch

from evaluator.__main__ import main
from evaluator.evaluate import evaluate
from evaluator.report.report_files import Report
from ocr.errors import UsageError, run_command
from ocr.shards.manifest import write_shard
from tests.evaluator.evaluated_pages import ENGLISH_CONFIG, SYSTEMS, written


def run_evaluator(
    *arguments: object, program: Sequence[str] = (sys.executable, "-m")
) -> subprocess.CompletedProcess[str]:
    command = [*program, "evaluator", *map(str, arguments), "baseline_model=english_g2"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_two_ranks_give_the_report_of_one(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    """Each reads its own pages, detected anew; one writes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    run = run_evaluator(
        *(
            "--eval_set",
            shards,
            "--easyocr-dir",
            easyocr_dir,
            "--out",
            tmp_path / "report",
            "--cache",
            tmp_path / "new",
        ),
        program=torchrun,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Report: ") == 1
    assert written(tmp_path / "report") == written(evaluated[1])
    for name in ("words.csv", "pages.csv"):
        assert (tmp_path / "report" / name).read_bytes() == (evaluated[1] / name).read_bytes()
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert report["device"].startswith("2 processes, cpu")
    assert report["pages"]["from_cache"] == 0
    assert len(list((tmp_path / "new").glob("*/*.json"))) == 6  # a file a page and detector


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(which("curl") is None, reason="WebDataset reads http:// with curl")
def test_shards_of_any_place_are_the_same_pages(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    of_all = written(evaluated[1])["systems"]
    with served(shards) as address:
        for number, eval_set in enumerate(
            (
                [f"{shards}/000000.tar", f"{shards}/{{000001..000001}}.tar"],
                [f"pipe:cat {shards}/{{000000..000000}}.tar", f"{address}/{{000001..000001}}.tar"],
            )
        ):
            out = tmp_path / str(number)
            report = evaluate(ENGLISH_CONFIG, eval_set, ("baseline",), easyocr_dir, cuda=False, out=out)
            assert report.eval_set == eval_set
            assert written(out)["systems"] == {name: of_all[name] for name in SYSTEMS[::2]}


@pytest.mark.parametrize("recognizers", [(), ("baseline", "stock")])
def test_an_unknown_recognizer_is_refused(
    shards: Path, easyocr_dir: Path, tmp_path: Path, recognizers: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="choose from baseline, finetuned"):
        evaluate(ENGLISH_CONFIG, str(shards), recognizers, easyocr_dir, cuda=False, out=tmp_path / "report")


def test_the_command(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    run = run_evaluator(
        *("--eval_set", f"{shards}/{{000001..000001}}.tar", "--baseline"),
        *("--easyocr-dir", easyocr_dir, "--out", tmp_path / "report"),
    )
    assert run.returncode == 0, run.stderr
    assert [line.split()[:2] for line in run.stdout.splitlines()[1:4]] == [name.split("+") for name in SYSTEMS[::2]]
    assert run.stdout.splitlines()[-1].startswith(f"Report: {tmp_path}/report/index.html")
    assert {line.split(":")[0] for line in run.stderr.splitlines()} == {"evaluate", "report"}  # progress, no warning
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert (list(report["systems"]), list(report["effects"])) == (SYSTEMS[::2], ["word boxes"])


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        pytest.param(["--eval_set", "nowhere"], 2, "nowhere: no shard", id="no such folder"),
        pytest.param(["--eval_set", "nowhere/*.tar"], 2, "no shard", id="an empty glob"),
        pytest.param(["--eval_set", "{shards}/000000.tar"], 1, "page_0: this page came before", id="a shard twice"),
        pytest.param(["baseline_modell=korean_g2"], 2, "did you mean 'baseline_model'", id="a config typo"),
        pytest.param(["--config", "nowhere.yaml"], 2, "no such config file", id="no such config"),
        pytest.param(["--finetuned", "--name", "better"], 2, "better.pth: missing; run", id="no such export"),
        pytest.param(["--out", "{shards}/000000.tar"], 2, "is a file", id="a report where a file is"),
        pytest.param(["--out", "{shards}/000000.tar/report"], 2, "is a file", id="a report below a file"),
        pytest.param(["--cache", "{tmp}/no_tar.tar"], 2, "choose another --cache", id="a cache where a file is"),
        pytest.param(["--eval_set", "{tmp}/no_label.tar"], 1, "page_7: has no label", id="a page without label"),
        pytest.param(["--eval_set", "{tmp}/damaged.tar"], 1, "page_7: damaged label", id="a damaged label"),
        pytest.param(["--eval_set", "{tmp}/no_tar.tar"], 1, "damaged shard", id="not a tar"),
        pytest.param(["--eval_set", "{tmp}/flipped.tar"], 1, "changed since it was written", id="a flipped bit"),
        pytest.param(
            ["--eval_set", "pipe:head -c 3000 {tmp}/no_label.tar"],
            1,
            "damaged shard: unexpected end of data;",
            id="a cut pipe",
        ),
        pytest.param(["--eval_set", "pipe:cat {tmp}/nowhere.tar 2>&-"], 1, "damaged shard", id="a pipe that fails"),
    ],
)
def test_what_a_user_can_cause_is_one_line(
    shards: Path,
    easyocr_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    exit_code: int,
    reason: str,
) -> None:
    write_shard(tmp_path / "no_label.tar", [("page_7", {"jpg": bytes(9000)})])
    write_shard(tmp_path / "damaged.tar", [("page_7", {"jpg": b"", "json": b'{"page": "pa'})])
    (tmp_path / "no_tar.tar").write_bytes(b"no tar")
    write_shard(tmp_path / "flipped.tar", [("page_7", {"jpg": bytes(9000), "json": b"{}"})])
    with (tmp_path / "flipped.tar").open("r+b") as file:
        file.seek(600)
        file.write(b"\1")
    usual = ["--eval_set", str(shards), "--easyocr-dir", str(easyocr_dir), "--out", str(tmp_path / "report")]
    given = [argument.format(shards=shards, tmp=tmp_path) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["evaluator", "baseline_model=english_g2", *usual, *given])

    with pytest.raises(SystemExit) as exited:
        run_command(main)

    error = capsys.readouterr().err
    assert (exited.value.code, error.count("\n")) == (exit_code, 1)
    assert error.startswith("error: ") and reason in error
    assert not (tmp_path / "report").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_a_usage_error(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--cuda: torch sees no CUDA GPU here"):
        evaluate(ENGLISH_CONFIG, str(shards), ("baseline",), easyocr_dir, cuda=True, out=tmp_path / "report")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_report_that_could_not_be_written_is_refused_first(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="not writable"):
        evaluate(ENGLISH_CONFIG, str(shards), ("baseline",), easyocr_dir, cuda=False, out=tmp_path / "report")
