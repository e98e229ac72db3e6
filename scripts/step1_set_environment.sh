# Step 1, to be sourced: `source scripts/step1_set_environment.sh` makes .venv, installs, and activates it here.
scripts="$(dirname "${BASH_SOURCE[0]:-$0}")"
bash -c "set -euo pipefail; source '$scripts/environment.sh'; install quickstart" && source "$scripts/../.venv/bin/activate"
unset scripts
