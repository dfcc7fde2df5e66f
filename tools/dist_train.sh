#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# GPUS is the number on this machine. Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500 on each.
set -euo pipefail
CONFIG=${1:?usage: bash tools/dist_train.sh CONFIG GPUS [arguments]}
GPUS=${2:?usage: bash tools/dist_train.sh CONFIG GPUS [arguments]}
. "$(dirname "$0")/torchrun.sh"
exec "${TORCHRUN[@]}" "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
