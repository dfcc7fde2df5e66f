#!/usr/bin/env bash
# From nothing to a fine-tuned detector: bash tools/quickstart.sh [--data DIR] [--start FILE]
# Sets up .venv (about two minutes, once), then trains, searches, exports and fine-tunes (under 10 minutes).
# A second run skips what is done; an interrupted one is simply started again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
exec .venv/bin/python tools/quickstart.py "$@"
