"""The paper's measure for detection with FPN, in a supernet of configs/data/distill_start.py, whatever it started from.

    python tools/search.py configs/search/c2-c5_start.py CHECKPOINT --data FOLDER
"""

_base_ = ['../data/distill_start.py', '../_base_/search.py']

test_dataloader = dict(dataset=dict(data_root='data/images/train'))
test_cfg = dict(tasks=['c2-c5'])
