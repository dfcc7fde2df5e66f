#!/usr/bin/env bash
# Set up .venv as the quickstart does, then run all tests: bash tests/run.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh --tests
.venv/bin/ruff check .
# One thread a test process, as many processes as cores.
OMP_NUM_THREADS=1 exec .venv/bin/python -m pytest -n "$(nproc)" --dist loadfile "$@"
