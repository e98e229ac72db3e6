#!/usr/bin/env bash
# Step 4: weights -> ~/.EasyOCR, checked with EasyOCR's Reader. `bash scripts/step4_set_finetuned_model.sh [options]`
set -euo pipefail
python -m trainer.export --checkpoint saved_models/korean_g2/best_norm_ed.pth --name finetuned "$@"
