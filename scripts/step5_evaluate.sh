#!/usr/bin/env bash
# Step 5: two ways to find words x baseline and fine-tuned, on pages never seen; with --cuda one process a GPU.
# `bash scripts/step5_evaluate.sh [--cuda] [key=value …]`
set -euo pipefail
run="python -m"
if [[ " $* " == *" --cuda "* ]]; then
    gpus=$(python -c 'import torch; print(torch.cuda.device_count())')
    if [ "$gpus" -gt 1 ]; then run="torchrun --standalone --nproc-per-node $gpus -m"; fi
fi
$run evaluator --config "$(dirname "$0")/../configs/korean_g2.yaml" --eval_set shards/evaluation --baseline --finetuned "$@"
