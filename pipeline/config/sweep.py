"""Settings of the noise sweep."""

from typing import Annotated

from pydantic import Field

from pipeline.config.section import Section

Share = Annotated[float, Field(ge=0, le=0.45)]


class SweepSettings(Section):
    """Labels flipped on purpose before training: what each loss makes of them;
    trains losses x shares x seeds times.
    """

    # one curve each, such as [sigmoid, conservative, rdpo, ipo]; empty: no sweep
    losses: tuple[str, ...] = ()
    # of the training labels that are flipped
    shares: tuple[Share, ...] = Field((0.0, 0.1, 0.2, 0.4), min_length=1)
    source: str = "outcome"  # the variant whose pairs are flipped
    max_pairs: int = Field(96, ge=1)  # to train on, and as many to measure on
