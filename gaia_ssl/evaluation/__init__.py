"""Judging a network: its batch norms recalibrated, what its features are worth to a simple classifier, and its latency."""

from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.features import cached_features, pooled_features
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.latency import check_latency, measure_latency
from gaia_ssl.evaluation.linear_probe import linear_probe_accuracy
from gaia_ssl.evaluation.record import EvaluationRecord
from gaia_ssl.evaluation.splits import stratified_split, write_split

__all__ = [
    'EvaluationRecord', 'cached_features', 'calibrate_bn', 'check_latency', 'knn_accuracy', 'linear_probe_accuracy',
    'measure_latency', 'pooled_features', 'stratified_split', 'write_split'
]
