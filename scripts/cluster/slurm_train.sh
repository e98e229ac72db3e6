#!/usr/bin/env bash
#SBATCH --job-name=train
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# A training run over nodes that all see this folder: sbatch scripts/cluster/slurm_train.sh --config configs/korean_g2.yaml
# Two minutes before its time is up the job is told so: it stops the run and queues again, and then goes on from last.pth.
set -euo pipefail
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 10000))
time_is_up=no
trap 'time_is_up=yes; kill -TERM "$run"' USR1

srun --kill-on-bad-exit=1 torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" \
    --max-restarts 3 --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:$port" -m trainer "$@" &
run=$!
code=0
wait "$run" || code=$?
if [ "$time_is_up" = yes ]; then
    wait "$run" || true # the signal ended the wait before
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
