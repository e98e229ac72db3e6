#!/usr/bin/env bash
# Everything that says whether main is sound: lint, types, all tests. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
install test

ruff check .
ruff format --check .
mypy
python -m pytest "$@"
