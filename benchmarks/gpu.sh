#!/usr/bin/env bash
# Everything that wants a GPU, most important first, in ten minutes, without network and data: bash benchmarks/gpu.sh OUT [small]
# OUT gets a log and the figures of each stage. With "small" it runs in toy sizes, on the CPU too, and takes its time, to show
# that it runs.
set -uo pipefail
OUT=${1:?usage: bash benchmarks/gpu.sh OUT [small]}
SIZE=${2:-full}
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) && cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failed=()

stage() {  # NAME SECONDS COMMAND…: the stages after it run, whatever becomes of it
  local name=$1 limit=$(( $2 * patience )) status
  echo "== $name"
  timeout "$limit" "${@:3}" 2>&1 | tee "$OUT/$name.log"
  status=${PIPESTATUS[0]}
  (( status == 0 )) || failed+=("$name (status $status)")
}

if [[ $SIZE == small ]]; then
  patience=10
  step=(--space small --batch-size 4 --resolution 32 --repeats 1)
  steps=("small bfloat16")
  dtypes=(bfloat16)
  search=(--images 2 --resolution 32 --units 1 --archs 4 --repeats 1)
  latency=(--config configs/quickstart/train.py --device cpu --resolution 32 --repeats 1 --check 3)
else
  patience=1
  step=(--batch-size 64 --repeats 5)
  steps=("data bfloat16" "data float32" "data tf32" "resnet50 bfloat16" "resnet50 float32")
  dtypes=(bfloat16 float32)
  search=(--images 64 --units 9 --archs 20 --repeats 1)
  latency=(--config configs/data/mocov2_r_supernet.py --device cuda --repeats 3)
fi

stage tests 90 python -m pytest -q -rs -p no:cacheprovider -m gpu \
  tests/gpu/test_cuda.py tests/search/test_prefix_evaluator.py tests/evaluation/test_latency.py
for each in "${steps[@]}"; do
  read -r space dtype <<<"$each"
  stage "step_${space}_$dtype" $(( 120 / ${#steps[@]} + 30 )) \
    python benchmarks/sandwich_step.py "${step[@]}" --space "$space" --dtype "$dtype" --out "$OUT"
done
for dtype in "${dtypes[@]}"; do
  stage "search_$dtype" 60 python benchmarks/search.py --task c2-c5 "${search[@]}" --dtype "$dtype" --out "$OUT"
done
stage latency 60 python tools/measure_latency.py "$OUT/latency.json" "${latency[@]}" --overwrite

(( ${#failed[@]} == 0 )) || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
echo "figures: $OUT"
