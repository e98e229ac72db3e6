from __future__ import annotations

import pytest

from ocr.errors import DataError, StoppedError, UsageError, run_command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("x.yaml: unknown key"), 2, "error: x.yaml: unknown key\n"),
        (DataError("a.zip: truncated"), 1, "error: a.zip: truncated\n"),
        (StoppedError("stopped behind iteration 7"), 75, "stopped behind iteration 7\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_a_user_can_cause_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == code
    assert capsys.readouterr().err == line


def test_a_rank_does_not_repeat_what_all_ranks_meet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = UsageError("no such file")

    def main() -> None:
        raise error

    monkeypatch.setenv("RANK", "1")
    for error.alone, line in [(False, ""), (True, "error: no such file\n")]:
        with pytest.raises(SystemExit):
            run_command(main)
        assert capsys.readouterr().err == line


def test_a_defect_of_ours_shows_its_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(main)
