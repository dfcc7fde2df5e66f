"""What one would rank architectures by without training a supernet."""

from gaia_ssl.evaluation.rivals.score import RIVAL_FILES, RIVAL_IMAGES, RIVALS, score_rivals

__all__ = ['RIVAL_FILES', 'RIVAL_IMAGES', 'RIVALS', 'score_rivals']
