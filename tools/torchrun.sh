# Sourced by dist_*.sh, with GPUS set: TORCHRUN becomes the command that starts as many processes on this machine.
# Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500 on each. On one, a free port is found unless PORT names one.
# MAX_RESTARTS=3 starts all processes again after one was killed, so often; with --resume they go on.
if command -v nvidia-smi >/dev/null; then
  found=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)
  if (( found > 0 && GPUS > found )); then
    echo "error: $GPUS processes, but this machine has $found GPUs; give $found, and with more machines say on each" \
      "NNODES=$(( (GPUS + found - 1) / found )) NODE_RANK=0 (1, …) MASTER_ADDR=HOST-OF-RANK-0" >&2
    exit 1
  fi
fi
TORCHRUN=(python "$(dirname "$0")/launch.py" --nproc_per_node="$GPUS" --max_restarts="${MAX_RESTARTS:-0}")
if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
  TORCHRUN+=(--standalone)
else
  TORCHRUN+=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}"
    --master_port="${PORT:-29500}")
fi
