"""Judging a network: its batch norms recalibrated, what its features are worth to a simple classifier, and its latency."""

from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.latency import check_latency, measure_latency

__all__ = ['calibrate_bn', 'check_latency', 'knn_accuracy', 'measure_latency']
