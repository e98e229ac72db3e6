#!/usr/bin/env bash
# Step 5: baseline and fine-tuned on pages never seen. `bash scripts/step5_evaluate.sh [--cuda] [key=value …]`
set -euo pipefail
python -m evaluator --config "$(dirname "$0")/../configs/korean_g2.yaml" --eval_set shards/evaluation --baseline --finetuned "$@"
