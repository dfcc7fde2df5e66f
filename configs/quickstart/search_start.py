"""The quickstart's search where there is a pretrained ResNet: all subnets inside it, for a detector with FPN."""

_base_ = ['./train_start.py', '../_base_/search_small.py']

test_dataloader = dict(dataset=dict(data_root='data/images/train'))
