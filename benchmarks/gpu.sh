#!/usr/bin/env bash
# Everything that wants a GPU, in one go: bash benchmarks/gpu.sh CHECKPOINT IMAGES [OUT]
# CHECKPOINT of a supernet of DATA_SPACE, IMAGES a folder of about a thousand. About half an hour.
set -euo pipefail
usage='usage: bash benchmarks/gpu.sh CHECKPOINT IMAGES [OUT]'
CHECKPOINT=${1:?$usage}
IMAGES=${2:?$usage}
OUT=${3:-work_dirs/gpu}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python -m pytest -q -rs tests/models tests/engine tests/evaluation tests/search
python benchmarks/sandwich_step.py --space data --batch-size 64
python benchmarks/sandwich_step.py --space data --batch-size 64 --dtype float32
for task in c5 c2-c5; do
  for dtype in bfloat16 float32; do
    python benchmarks/search.py --task "$task" --dtype "$dtype" --images 64 --units 9 --archs 50
  done
done
python tools/measure_latency.py "$OUT/latency.json" --config configs/data/mocov2_r_supernet.py --device cuda --batch-size 1 --overwrite
for dtype in bfloat16 float32; do
  time python tools/search.py configs/search/c2-c5_coco.py "$CHECKPOINT" --work-dir "$OUT/search_$dtype" --resume \
    --latency-table "$OUT/latency.json" --cfg-options "test_dataloader.dataset.data_root=$IMAGES" "test_cfg.dtype=$dtype"
done
python benchmarks/dtypes.py "$OUT/search_float32" "$OUT/search_bfloat16" --name gpu
