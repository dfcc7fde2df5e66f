#!/usr/bin/env bash
# Make .venv in the repository and install the pinned stack into it. Steps that are done are skipped, so a second run
# takes seconds and an interrupted one is simply started again.
#   bash tools/setup_env.sh [--tests]     --tests also installs what the test suite needs
# PYTHON=/path/to/python3.11 chooses the interpreter (3.10, 3.11 or 3.12).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

groups=(build torch mmcv openmmlab runtime)
for argument in "$@"; do
  case $argument in
    --tests) groups+=(onnx tests) ;;
    *) echo "setup_env.sh: unknown argument '$argument'; usage: bash tools/setup_env.sh [--tests]" >&2; exit 2 ;;
  esac
done

fail() { echo "setup_env.sh: $*" >&2; exit 1; }
say() { printf '\033[1m[set-up %s]\033[0m %s\n' "$(date +%H:%M:%S)" "$*"; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3 python}; do
    if supported "$candidate"; then echo "$candidate"; return; fi
  done
  return 1
}

# One process at a time: two set-ups in one .venv would break each other.
exec 9>.setup.lock
flock -n 9 || fail "another set-up is running in $PWD; wait for it to end"

if ! supported .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  python=$(find_python) || fail "no Python 3.10, 3.11 or 3.12 found${PYTHON:+ at PYTHON=$PYTHON}; install one or set PYTHON=/path/to/python3.11"
  say "making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv || fail "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check install --progress-bar off -qq)
stamps=.venv/.gaia_ssl_setup
mkdir -p "$stamps"

# A step's stamp holds the hash of what it installed; a changed requirements file runs the step again.
is_done() { [[ -f $stamps/$1 && $(cat "$stamps/$1") == "$2" ]]; }

install_group() {
  local group=$1 expect=$2 hash start
  shift 2
  hash=$(sha256sum "requirements/$group.txt" | cut -d' ' -f1)
  is_done "$group" "$hash" && return
  say "installing requirements/$group.txt ($expect)"
  start=$SECONDS
  "$@" "${pip[@]}" --requirement "requirements/$group.txt" "${flags[@]}" --constraint requirements/torch.txt ||
    fail "pip could not install requirements/$group.txt (its message is above; .venv/bin/python tools/doctor.py knows the" \
      "usual causes); mend that and run this again, what is done is kept"
  echo "$hash" >"$stamps/$group"
  say "done in $((SECONDS - start)) s"
}

for group in "${groups[@]}"; do
  flags=()
  case $group in
    torch) install_group torch "2 minutes, 5 GB on disk" env ;;
    mmcv)
      # MMCV_WITH_OPS builds mmdet's operators; ninja uses MAX_JOBS processes.
      flags=(--no-build-isolation)
      install_group mmcv "mmcv's operators are compiled: about 12 minutes on 2 cores, once" \
        env MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-$(nproc)}" ;;
    openmmlab) install_group openmmlab "1 minute" env ;;
    *) install_group "$group" "under a minute" env ;;
  esac
done

package_hash=$(cat setup.py | sha256sum | cut -d' ' -f1)
if ! is_done package "$package_hash"; then
  say "installing gaia_ssl itself (editable)"
  "${pip[@]}" --no-build-isolation --no-deps --editable . || fail "pip could not install gaia_ssl itself (its message is above;" \
    ".venv/bin/python tools/doctor.py knows the usual causes)"
  echo "$package_hash" >"$stamps/package"
fi
examined=$(cat "$stamps"/{torch,mmcv,openmmlab,runtime,package} | sha256sum | cut -d' ' -f1)
if ! is_done doctor "$examined"; then
  if .venv/bin/python tools/doctor.py; then
    echo "$examined" >"$stamps/doctor"
  else
    say "all is installed, but not all in order: the commands above mend it; tools/doctor.py examines it again"
  fi
fi
say "environment ready: $PWD/.venv"
