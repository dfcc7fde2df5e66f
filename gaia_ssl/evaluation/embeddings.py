"""How much of its dimensions an embedding uses: measures that need no labels, and that a collapse drives to nothing."""

import numpy as np

_EPSILON = 1e-7  # the paper's, for float32


def rank_me(embeddings: np.ndarray) -> float:
    """RankMe, the effective rank (Garrido et al. 2023, https://arxiv.org/abs/2210.02885, Eq. 1 to 3).

    ``exp(-sum_k p_k log p_k)`` with ``p_k = sigma_k / ||sigma||_1 + 1e-7`` of the singular values ``sigma``. It cannot exceed
    ``min(N, D)``, so that values of different numbers of images compare only where N is well above D.

    Args:
        embeddings: ``(N, D)``, as they are: neither centred nor normalised.

    Returns:
        About 1 where all embeddings point the same way, up to ``min(N, D)``; NaN if any value is not finite.
    """
    if not np.isfinite(embeddings).all():
        return float('nan')
    sigma = np.linalg.svd(embeddings.astype(np.float64), compute_uv=False)
    shares = sigma / (sigma.sum() or 1.0) + _EPSILON
    return float(np.exp(-(shares * np.log(shares)).sum()))


def embedding_std(embeddings: np.ndarray) -> float:
    """The std of L2-normalised embeddings, over images, mean over dimensions, times ``sqrt(D)``.

    SimSiam's measure of collapse (Chen and He 2021, https://arxiv.org/abs/2011.10566, section 4.1), scaled so that 1 is the
    value of directions that are spread evenly.

    Args:
        embeddings: ``(N, D)``.

    Returns:
        0 where all embeddings point the same way, about 1 where they point everywhere; NaN if any value is not finite.
    """
    if not np.isfinite(embeddings).all():
        return float('nan')
    embeddings = embeddings.astype(np.float64)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(norms > 0, norms, 1)
    return float(directions.std(axis=0).mean() * np.sqrt(embeddings.shape[1]))
