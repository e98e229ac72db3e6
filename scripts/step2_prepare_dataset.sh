#!/usr/bin/env bash
# Step 2: zips -> shards. `bash scripts/step2_prepare_dataset.sh --dataset="/data/공공행정문서 OCR" [--training] …`
set -euo pipefail
python -m shard_builder --config "$(dirname "$0")/../configs/korean_g2.yaml" --out shards "$@"
