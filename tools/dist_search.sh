#!/usr/bin/env bash
# bash tools/dist_search.sh CONFIG CHECKPOINT GPUS [arguments of tools/search.py]
# Several machines (with a shared work dir): NNODES, NODE_RANK, MASTER_ADDR and PORT as for dist_train.sh.
set -euo pipefail
usage='usage: bash tools/dist_search.sh CONFIG CHECKPOINT GPUS [arguments]'
CONFIG=${1:?$usage}
CHECKPOINT=${2:?$usage}
GPUS=${3:?$usage}
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
PORT=${PORT:-29500}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}

if ! command -v nvidia-smi >/dev/null; then  # on CPUs, the processes share the cores
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( $(nproc) > GPUS ? $(nproc) / GPUS : 1 ))}
fi
python "$(dirname "$0")/import_guard.py" torch
python -m torch.distributed.run --nnodes="$NNODES" --node_rank="$NODE_RANK" --master_addr="$MASTER_ADDR" \
  --nproc_per_node="$GPUS" --master_port="$PORT" "$(dirname "$0")/search.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}" || {
  status=$?
  echo "error: the search stopped for the reason said above; what was finished is kept, and --resume goes on from there" >&2
  exit $status
}
