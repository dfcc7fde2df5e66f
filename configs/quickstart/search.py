"""The quickstart's search: all 5,184 subnets, in five groups, for a detector with FPN."""

_base_ = ['./train.py', '../_base_/search_small.py']

test_dataloader = dict(dataset=dict(data_root='data/demo/train2017'))
test_cfg = dict(group_edges=[35e6, 70e6, 100e6, 130e6, 160e6, 195e6])
