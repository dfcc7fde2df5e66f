#!/usr/bin/env bash
# Set up .venv as the quickstart does, then run all tests: bash tests/run.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh --tests
# The tests of the HTML report drive a browser.
if ! command -v chromedriver >/dev/null && [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
  { apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; } >/dev/null ||
    echo "run.sh: apt-get could not install chromium and chromium-driver (its message is above)" >&2
fi
.venv/bin/ruff check .
.venv/bin/codespell
.venv/bin/mypy
# One thread a test process, as many processes as cores.
OMP_NUM_THREADS=1 exec .venv/bin/python -m pytest -n "$(nproc)" --dist loadfile --durations=25 "$@"
