"""Choosing a subnet without a label: how close its task-specific features come to the teacher's (section 3.3)."""

from gaia_ssl.search.evaluator import ForwardEvaluator, SubnetEvaluator
from gaia_ssl.search.similarity import embedding_similarity, relation_similarity
from gaia_ssl.search.task import TASKS

__all__ = ['TASKS', 'ForwardEvaluator', 'SubnetEvaluator', 'embedding_similarity', 'relation_similarity']
