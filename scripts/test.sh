#!/usr/bin/env bash
# Everything that says whether main is sound: lint, types, all tests. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
install test

ruff check .
ruff format --check .
mypy
# Files are dealt over up to four processes, the longest first; threads of theirs would only wait for one another.
export OMP_NUM_THREADS=1
python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
