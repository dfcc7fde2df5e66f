#!/usr/bin/env bash
# Make .venv in the repository and install the pinned stack into it; nothing is compiled. Steps that are done are skipped, so
# a second run takes seconds and an interrupted one is simply started again.
#   bash tools/setup_env.sh [--tests] [--compile-mmcv]
#     --tests         also what the test suite needs
#     --compile-mmcv  also mmcv's own operators, about 12 minutes on 2 cores, in place of torchvision's (docs/install.md)
# PYTHON=/path/to/python3.11 chooses the interpreter (3.10, 3.11 or 3.12).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

groups=(torch build openmmlab runtime)
compile=
for argument in "$@"; do
  case $argument in
    --tests) groups+=(onnx tests) ;;
    --compile-mmcv) compile=1 ;;
    *) echo "setup_env.sh: unknown argument '$argument'; usage: bash tools/setup_env.sh [--tests] [--compile-mmcv]" >&2; exit 2 ;;
  esac
done

fail() { echo "setup_env.sh: $*" >&2; exit 1; }
say() { printf '\033[1m[set-up %s]\033[0m %s\n' "$(date +%H:%M:%S)" "$*"; }

if [[ $compile ]] && ! command -v g++ >/dev/null; then
  fail "--compile-mmcv needs a C++ compiler; on Debian and Ubuntu: apt-get install g++"
fi

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3 python}; do
    if supported "$candidate"; then command -v "$candidate"; return; fi
  done
  return 1
}

# One process at a time: two set-ups in one .venv would break each other.
{ exec 9>.setup.lock; } 2>/dev/null || fail "cannot write in $PWD; make it writable, or copy the repository elsewhere"
flock -n 9 || fail "another set-up is running in $PWD; wait for it to end"

stamps=.venv/.gaia_ssl_setup
log=$stamps/output.log
if ! supported .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  python=$(find_python) || fail "no Python 3.10, 3.11 or 3.12 found${PYTHON:+ at PYTHON=$PYTHON}; install one or set PYTHON=/path/to/python3.11"
  say "making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no module venv; on Debian and Ubuntu: apt-get install python3-venv; or set PYTHON=/path/to/python3.11"
  if ! message=$("$python" -m venv .venv 2>&1); then
    (( $(df -Pk . | awk 'NR == 2 {print $4}') > 100000 )) || fail "the disk is full; make room for 6 GB and run this again"
    fail "cannot make a virtual environment: ${message##*$'\n'}"
  fi
fi
{ mkdir -p "$stamps" && : >"$log"; } 2>/dev/null || fail "cannot write in $PWD/.venv; make room and run this again"
pip=(.venv/bin/python -m pip --disable-pip-version-check)

# uv installs several times faster than pip, and is told what pip is set to.
use_uv() {
  "${pip[@]}" install -q --retries 1 -r requirements/installer.txt >>"$log" 2>&1 || return 1
  setting() { "${pip[@]}" config get "$1" 2>/dev/null; }
  export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(setting global.index-url)}}
  export SSL_CERT_FILE=${SSL_CERT_FILE:-${PIP_CERT:-$(setting global.cert)}}
  [[ $UV_DEFAULT_INDEX ]] || unset UV_DEFAULT_INDEX
  [[ $SSL_CERT_FILE ]] || unset SSL_CERT_FILE
}

# Say in one line what pip or uv could not do; all they said is in the log.
reason() {
  local line package
  if grep -a -q -i -E 'no space left on device|disk quota exceeded' "$log"; then
    echo "the disk is full; make room"
  elif grep -a -q -i -E 'dns error|name resolution|failed to (connect|establish|fetch)|error sending request|connection (refused|error)|unreachable|NewConnectionError' "$log"; then
    package=$(grep -a -o -m1 -E "/simple/[^/\` ]+|requirement [^ ]+|for url \([^)]*" "$log" | sed -E 's#.*[/ (]##')
    echo "${package:-a package} could not be had from the package index; look to the network, or the proxy"
  else
    line=$(grep -a -E '^ *(E: )?[A-Za-z.]*Error: ' "$log" | tail -1)
    [[ $line ]] || line=$(grep -a -m1 -E 'ERROR: |× |error: ' "$log" || tail -1 "$log")
    sed -E 's/^[^[:alnum:]]*//' <<<"$line"
  fi
}

install() {  # GROUP ARGUMENTS...
  local group=$1
  shift
  : >"$log"
  # What an interrupted installation has left may be incomplete.
  local again=()
  [[ -e $stamps/$group.unfinished ]] && again=(--reinstall)
  : >"$stamps/$group.unfinished"
  if [[ $uv ]]; then
    .venv/bin/python -m uv pip install --python .venv/bin/python "${again[@]}" "$@" >>"$log" 2>&1
  else
    "${pip[@]}" install --progress-bar off --retries 1 --no-cache-dir "${again[@]/--reinstall/--force-reinstall}" "$@" >>"$log" 2>&1
  fi || fail "could not install $group: $(reason); all that was said is in $log; run this again then, what is done is kept"
  rm "$stamps/$group.unfinished"
}

# A step's stamp holds the hash of what it installed; a changed file runs the step again.
is_done() { [[ -f $stamps/$1 && $(cat "$stamps/$1") == "$2" ]]; }

step() {  # NAME FILES-IT-DEPENDS-ON TEXT ARGUMENTS-OF-INSTALL...
  local name=$1 files=$2 text=$3 hash start=$SECONDS
  shift 3
  hash=$(cat $files | sha256sum | cut -d' ' -f1)
  is_done "$name" "$hash" && return
  [[ ${uv-unset} != unset ]] || { uv=; use_uv && uv=1; }
  say "installing $text"
  install "$name" "$@"
  echo "$hash" >"$stamps/$name"
  say "done in $((SECONDS - start)) s"
}

for group in "${groups[@]}"; do
  case $group in
    torch) text='torch, 5 GB on disk (about a minute)' ;;
    openmmlab) text='the OpenMMLab packages (half a minute)' ;;
    *) text="requirements/$group.txt" ;;
  esac
  step "$group" "requirements/$group.txt" "$text" -r "requirements/$group.txt" -c requirements/torch.txt
done
step package 'setup.py pyproject.toml mmcv_torchvision_ops.pth' 'gaia_ssl itself (editable)' --no-build-isolation --no-deps --editable .

if [[ $compile ]] && ! is_done compiled "$(sha256sum <requirements/openmmlab.txt | cut -d' ' -f1)"; then
  environment=(MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-$(nproc)}")
  if ! command -v nvcc >/dev/null && [[ ! -x ${CUDA_HOME:-}/bin/nvcc ]]; then
    # mmcv's setup.py wants nvcc as soon as it sees a GPU.
    environment+=(CUDA_VISIBLE_DEVICES= FORCE_CUDA=0)
    if command -v nvidia-smi >/dev/null; then say "no nvcc here, so mmcv's operators are compiled for the CPU alone"; fi
  fi
  step compile requirements/compile.txt requirements/compile.txt -r requirements/compile.txt -c requirements/torch.txt
  say "compiling mmcv's operators (about 12 minutes on 2 cores, once)"
  mmcv=$(grep -o '^onedl-mmcv==[^ ]*' requirements/openmmlab.txt)
  env "${environment[@]}" "${pip[@]}" install -q --no-build-isolation --no-deps --force-reinstall "$mmcv" >"$log" 2>&1 ||
    fail "could not compile $mmcv: $(reason); all that was said is in $log; without it torchvision's operators are used"
  sha256sum <requirements/openmmlab.txt | cut -d' ' -f1 >"$stamps/compiled"
fi

installed=("$stamps"/{torch,build,openmmlab,runtime,package})
if [[ -f $stamps/compiled ]]; then installed+=("$stamps/compiled"); fi
examined=$(cat "${installed[@]}" | sha256sum | cut -d' ' -f1)
if ! is_done doctor "$examined"; then
  if .venv/bin/python tools/doctor.py; then
    echo "$examined" >"$stamps/doctor"
  else
    say "all is installed, but not all in order: the commands above mend it; tools/doctor.py examines it again"
  fi
fi
say "environment ready: $PWD/.venv"
