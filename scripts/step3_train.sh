#!/usr/bin/env bash
# Step 3: shards -> weights, one process a GPU. `bash scripts/step3_train.sh [key=value …]`
set -euo pipefail
processes=$(python -c 'import torch; print(max(1, torch.cuda.device_count()))')
torchrun --standalone --nproc-per-node "$processes" -m trainer --config "$(dirname "$0")/../configs/korean_g2.yaml" "$@"
