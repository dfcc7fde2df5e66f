"""Judging a network: its batch norms recalibrated, and what its features are worth to a simple classifier."""

from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.knn import knn_accuracy

__all__ = ['calibrate_bn', 'knn_accuracy']
