"""Judging a network: its batch norms recalibrated, what its features are worth with labels and without, and its latency.

Here is what needs no data set; ``features``, ``subnet_judge``, ``judge_history`` and ``subnet_scores`` bring mmpretrain along
and are imported by name.
"""

from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.embeddings import embedding_std, rank_me
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.latency import check_latency, measure_latency
from gaia_ssl.evaluation.linear_probe import linear_probe_accuracy
from gaia_ssl.evaluation.record import EvaluationRecord
from gaia_ssl.evaluation.splits import stratified_split, write_split

__all__ = [
    'EvaluationRecord', 'calibrate_bn', 'check_latency', 'embedding_std', 'knn_accuracy', 'linear_probe_accuracy',
    'measure_latency', 'rank_me', 'stratified_split', 'write_split'
]
