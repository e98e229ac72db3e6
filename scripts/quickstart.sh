#!/usr/bin/env bash
# The whole way, once: draw a small data set of AI-Hub's shape, build shards, fine-tune, export, evaluate.
# All of it lies below quickstart/. A second run goes on from what is there; remove the folder to begin again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
install quickstart

config=configs/quickstart.yaml
here=quickstart
cuda=$(python -c 'import torch; print("--cuda" if torch.cuda.is_available() else "")')

echo "== 1/5 draw pages of AI-Hub's shape =="
if [ ! -d "$here/dataset" ]; then
    rm -rf "$here/dataset.unfinished"
    python scripts/make_synthetic_dataset.py "$here/dataset.unfinished" --training 120 --validation 12 --scale 0.5
    mv "$here/dataset.unfinished" "$here/dataset"
fi

echo "== 2/5 zips -> shards =="
python -m shard_builder --config $config --dataset "$here/dataset" --out "$here/shards"

echo "== 3/5 fine-tune =="
torchrun --standalone --nproc-per-node 1 -m trainer --config $config --saved-models "$here/saved_models" \
    --easyocr-dir "$here/EasyOCR"

echo "== 4/5 export to EasyOCR =="
python -m trainer.export --checkpoint "$here/saved_models/quickstart/best_norm_ed.pth" --name finetuned \
    --easyocr-dir "$here/EasyOCR"

echo "== 5/5 evaluate on pages never seen =="
python -m evaluator --config $config --eval_set "$here/shards/evaluation" --baseline --finetuned $cuda \
    --easyocr-dir "$here/EasyOCR" --out "$here/report"
