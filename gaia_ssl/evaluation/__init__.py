"""Judging a network: its batch norms recalibrated, what its features are worth with labels and without, and its latency."""

from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.embeddings import embedding_std, rank_me
from gaia_ssl.evaluation.features import cached_features, pooled_features
from gaia_ssl.evaluation.judge_history import JudgeHistory
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.latency import check_latency, measure_latency
from gaia_ssl.evaluation.linear_probe import linear_probe_accuracy
from gaia_ssl.evaluation.record import EvaluationRecord
from gaia_ssl.evaluation.splits import stratified_split, write_split
from gaia_ssl.evaluation.subnet_judge import MEASURES, find_collapse, judge_subnet

__all__ = [
    'EvaluationRecord', 'JudgeHistory', 'MEASURES', 'cached_features', 'calibrate_bn', 'check_latency', 'embedding_std',
    'find_collapse', 'judge_subnet', 'knn_accuracy', 'linear_probe_accuracy', 'measure_latency', 'pooled_features', 'rank_me',
    'stratified_split', 'write_split'
]
