"""Choosing a subnet without a label: how close its task-specific features come to the teacher's (section 3.3)."""

from gaia_ssl.search.evaluator import ForwardEvaluator, SubnetEvaluator
from gaia_ssl.search.measures import RelationTarget, embedding_similarity, relation_similarity
from gaia_ssl.search.prefix_evaluator import PrefixEvaluator
from gaia_ssl.search.task import MEASURES, TASKS

__all__ = [
    'MEASURES', 'TASKS', 'ForwardEvaluator', 'PrefixEvaluator', 'RelationTarget', 'SubnetEvaluator', 'embedding_similarity',
    'relation_similarity'
]
