"""How sure a reliability is, given that the truth was never seen."""

import numpy as np
from scipy import sparse, stats

from pipeline.noise.coding import Coded, Floats

MOST = 1000  # voters up to which all covariances are used; beyond, each voter's own variance


def information(coded: Coded, said: Floats, w: Floats, pseudo: float) -> tuple[Floats, Floats]:
    """Observed information of each voter's eta by Louis 1982:
    that of complete data less that of the missing truth.

    A vote of likelihood f has the score (2p - 1) / f where the chosen side is better, and -(2p - 1)
    / (1 - f) where not; the truth's variance makes the scores of all voters of a pair covary.

    Returns:
        (voters,) each voter's own information, votes alone; and (voters,) the effective number of
        votes behind eta, other voters' uncertainty and the pseudo votes included.
    """
    eta = said.mean(axis=0)
    f = eta[coded.voter] * (2 * coded.p - 1) + 1 - coded.p
    right, wrong = (2 * coded.p - 1) / f, -(2 * coded.p - 1) / (1 - f)
    mass = np.bincount(coded.kind, w[coded.pair], len(coded.p))
    complete = coded.per_voter(mass * right**2 + (coded.count - mass) * wrong**2)
    shape = (len(w), len(eta))
    gaps = sparse.csr_matrix(
        ((right - wrong)[coded.kind], (coded.pair, coded.voter[coded.kind])), shape=shape
    )
    scaled = gaps.multiply(np.sqrt(w * (1 - w))[:, None]).tocsr()
    missing = np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel()
    own = (complete - missing) * eta * (1 - eta)
    prior = pseudo / eta**2 + pseudo / (1 - eta) ** 2
    if len(eta) > MOST:
        variance = 1 / np.maximum(complete + prior - missing, 1e-12)
    else:
        matrix = np.diag(complete + prior) - (scaled.T @ scaled).toarray()
        values, vectors = np.linalg.eigh(matrix)
        variance = (vectors**2 / np.maximum(values, 1e-9 * max(values.max(initial=0.0), 1e-9))).sum(
            axis=1
        )
    return own, eta * (1 - eta) / variance


def wilson(share: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share behind which stand n votes (n need not be whole)."""
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
