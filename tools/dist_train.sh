#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500 on each. GPUS is the number on this machine.
set -euo pipefail
CONFIG=${1:?usage: bash tools/dist_train.sh CONFIG GPUS [arguments]}
GPUS=${2:?usage: bash tools/dist_train.sh CONFIG GPUS [arguments]}
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
PORT=${PORT:-29500}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}

python "$(dirname "$0")/import_guard.py" torch
exec python -m torch.distributed.run --nnodes="$NNODES" --node_rank="$NODE_RANK" --master_addr="$MASTER_ADDR" \
  --nproc_per_node="$GPUS" --master_port="$PORT" "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
