"""How the learning rate goes where a solver's file has no words for it: a cosine, and a warm-up.

The one rule to know: the rate depends on the iteration alone, so a run that goes on from a snapshot needs
nothing beside it. A warm-up is a factor on the policy's rate: 1/N in the first iteration, 1 in the N-th and
from then on. The solver's policies go on counting from the start, so a step at 30,000 stays there; the
cosine begins where the warm-up ends, at the full base_lr.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from caffeflow.errors import UsageError

OwnPolicy = Literal["cosine"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule as asked for.

    Attributes:
        policy: In place of the solver's lr_policy; None leaves that.
        warmup: Iterations until the rate is the policy's.
    """

    policy: OwnPolicy | None = None
    warmup: int = 0

    def check(self, max_iter: int) -> None:
        """Looks whether there is room for it.

        Raises:
            UsageError: The warm-up takes all iterations, or a cosine has no end.
        """
        if self.policy is not None and max_iter < 1:
            raise UsageError(
                f"--lr-policy cosine ends at max_iter, which is {max_iter}; set it in the solver"
            )
        if self.warmup and self.warmup >= max_iter:
            raise UsageError(
                f"--warmup {self.warmup} leaves nothing of {max_iter} iterations; give fewer, or train longer"
            )

    def warmed(self, iteration: int) -> float:
        """Returns the factor on the policy's rate after so many updates."""
        return (iteration + 1) / self.warmup if iteration < self.warmup else 1.0

    def cosine(self, iteration: int, max_iter: int) -> float:
        """Returns the share of base_lr that half a wave has come down to after so many updates."""
        done = min(max(iteration - self.warmup, 0) / (max_iter - self.warmup), 1.0)
        return (1 + math.cos(math.pi * done)) / 2


AS_THE_SOLVER_SAYS: Final = Schedule()
