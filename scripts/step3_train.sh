#!/usr/bin/env bash
# Step 3: shards -> weights, one process a GPU. `bash scripts/step3_train.sh [key=value …]`
set -euo pipefail
torchrun --standalone --nproc-per-node "${PROCESSES:-gpu}" -m trainer --config configs/korean_g2.yaml "$@"
