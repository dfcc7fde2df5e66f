import sys

from tests import tiny

sys.path.append(str(tiny.ROOT / 'benchmarks'))  # where Python looks when it runs one
