"""A loss: exp(-beta * h), the exponential loss of boosting on DPO's log-ratios.

In a profile:

    extensions: [extensions/exponential.py]
    training: {loss: exponential}
"""

from torch import Tensor

from pipeline.training.losses import Columns, loss_function


@loss_function("exponential")
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """exp(-beta * h) with h the log-ratio of the chosen side less that of the rejected one.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta (per nat).

    Returns:
        (n,), 1 where the policy is the reference.
    """
    h = log_ratios[:, 0] - log_ratios[:, 1]
    return (-columns.beta * h).clamp(max=20).exp()
