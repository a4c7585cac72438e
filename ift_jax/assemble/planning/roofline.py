"""How long a step takes by a stated roofline, from what it computes and moves.

Compute is at the chip's peak, memory and links at their full bandwidths, all links of a chip in use
at once. A real step reaches none of these: predictions rank plans, and bound what can be had.
"""

from __future__ import annotations

import dataclasses

from ift_jax.assemble.planning.chips import Chip


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of a step, for each thing that it does.

    Attributes:
        compute: matrix products.
        memory: to and from HBM.
        communication: to other chips.
    """

    compute: float
    memory: float
    communication: float

    @property
    def overlapped(self) -> float:
        """If all three go on at once."""
        return max(self.compute, self.memory, self.communication)

    @property
    def step(self) -> float:
        """If chips compute nothing while they communicate: what is predicted."""
        return max(self.compute, self.memory) + self.communication


def times(chip: Chip, dtype: str, *, flops: float, bytes_moved: float, bytes_sent: float) -> Times:
    """The times of what one chip does.

    Args:
        chip: which.
        dtype: of the matrix products.
        flops: operations of matrix products, what remat computes again among them.
        bytes_moved: to and from HBM.
        bytes_sent: to other chips.
    """
    return Times(
        compute=flops / (chip.float32_flops if dtype == "float32" else chip.flops),
        memory=bytes_moved / chip.hbm_bandwidth,
        communication=bytes_sent / chip.link_bandwidth,
    )


def mfu(chip: Chip, chips: int, model_flops: float, seconds: float) -> float:
    """Share of all chips' peak that the model's own operations take, without what is repeated."""
    return model_flops / (chips * chip.flops * seconds)
