#!/usr/bin/env bash
# All tests in environments other than the pinned one: the oldest and the newest versions that the package's ranges take.
#   bash tests/environments.sh [NAME ...]     default: all; results in work_dirs/environments/NAME.txt
# Each takes 3 minutes to install, 5 GB on disk, and the tests' own time. Python comes from PYTHON310 and PYTHON312, or the path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/work_dirs/environments
uv=$PWD/.venv/bin/uv
[[ -x $uv ]] || { echo "environments.sh: no $uv; run bash tools/setup_env.sh --tests first" >&2; exit 1; }
mkdir -p "$out"

onedl=(onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6 onedl-mmdetection==3.5.1)
tests=(pytest pytest-xdist hypothesis selenium tensorboard 'setuptools>=80,<82' wheel pip)

run() {  # NAME PYTHON PACKAGES...
  local name=$1 python=$2
  shift 2
  echo "== $name"
  "$uv" venv -q --clear --seed --python "$python" "$out/$name"
  "$uv" pip install -q --python "$out/$name/bin/python" "$@" "${tests[@]}" -r requirements/runtime.txt
  "$uv" pip install -q --python "$out/$name/bin/python" --no-build-isolation --no-deps -e .
  "$out/$name/bin/python" -c 'import sys, numpy, torch, torchvision
print("Python", sys.version.split()[0], "torch", torch.__version__, "torchvision", torchvision.__version__, "numpy", numpy.__version__)' |
    tee "$out/$name.txt"
  OMP_NUM_THREADS=1 "$out/$name/bin/python" -m pytest -q -n "$(nproc)" --dist loadfile -p no:cacheprovider >>"$out/$name.txt" 2>&1 || true
  grep -E '^(FAILED|ERROR)' "$out/$name.txt" || true
  tail -1 "$out/$name.txt"
}

for name in "${@:-oldest newest}"; do
  for each in $name; do
    case $each in
      # mmsegmentation wants numpy 2, so it is not in the oldest.
      oldest) run oldest "${PYTHON310:-python3.10}" torch==2.6.0 torchvision==0.21.0 'numpy<2' "${onedl[@]}" ;;
      newest) run newest "${PYTHON312:-python3.12}" torch torchvision "${onedl[@]}" onedl-mmsegmentation==1.4.2 \
        onnx onnxscript onnxruntime ;;
      *) echo "environments.sh: no environment '$each'; choose from oldest, newest" >&2; exit 2 ;;
    esac
  done
done
