"""What of a feature is compared with the teacher's."""

from gaia_ssl.search.measures.between_images import BETWEEN_IMAGES, MIN_IMAGES
from gaia_ssl.search.measures.paper import RelationTarget, embedding_similarity, relation_similarity
from gaia_ssl.search.measures.target import FeatureTarget

__all__ = ['BETWEEN_IMAGES', 'MIN_IMAGES', 'FeatureTarget', 'RelationTarget', 'embedding_similarity', 'relation_similarity']
