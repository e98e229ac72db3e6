#!/usr/bin/env bash
#SBATCH --job-name=shards
#SBATCH --nodes=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
# In a Slurm array one part of a build; outside of one the manifests, when all parts are done:
#   options=(--dataset "/data/공공행정문서 OCR" --out shards)
#   parts=$(sbatch --parsable --array=0-15 scripts/cluster/slurm_build.sh "${options[@]}")
#   sbatch --dependency="afterok:$parts" scripts/cluster/slurm_build.sh "${options[@]}"
# A part that is killed or requeued goes on where it was.
set -euo pipefail
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    part=(--num-jobs "$SLURM_ARRAY_TASK_COUNT" --job-index "$SLURM_ARRAY_TASK_ID")
else
    part=(--finalize)
fi
srun python -m shard_builder --workers "$SLURM_CPUS_PER_TASK" "${part[@]}" "$@"
