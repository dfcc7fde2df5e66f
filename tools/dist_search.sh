#!/usr/bin/env bash
# bash tools/dist_search.sh CONFIG CHECKPOINT GPUS [arguments of tools/search.py]
# GPUS is the number on this machine. Several machines (with a shared work dir): as for dist_train.sh.
set -euo pipefail
usage='usage: bash tools/dist_search.sh CONFIG CHECKPOINT GPUS [arguments]'
CONFIG=${1:?$usage}
CHECKPOINT=${2:?$usage}
GPUS=${3:?$usage}

if ! command -v nvidia-smi >/dev/null; then  # on CPUs, the processes share the cores
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( $(nproc) > GPUS ? $(nproc) / GPUS : 1 ))}
fi
. "$(dirname "$0")/torchrun.sh"
exec "${TORCHRUN[@]}" "$(dirname "$0")/search.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
