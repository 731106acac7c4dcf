"""Numbers that stop being finite: caught before the update, with the layer and the step named.

On the CPU this is immediate. Elsewhere looking would make the program wait for the device in every step, so rows
whose loss or gradient is not finite are frozen on the device, and found when somebody asks. Only the policy
`restore`, which has to act at once, looks in every step on every device.

    stop      the row takes no further step, and its member ends
    skip      the row leaves that update out
    restore   the row leaves that update out, and the training goes on with its best weights and half its rate
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nnlab.training.layout import Layout

Policy = Literal["stop", "skip", "restore"]


@dataclass(frozen=True)
class Exit:
    """How a row leaves the stack.

    Attributes:
        step: updates that it has done.
        loss: its last one.
        sentence: says why.
    """

    step: int
    loss: float
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What is to be done about rows of the stack.

    Attributes:
        ended: rows that take no further step, and why.
        restored: rows that go on from their best weights with half the rate.
        left_out: of every row, updates that it has left out.
    """

    ended: dict[int, Exit]
    restored: Sequence[int]
    left_out: Sequence[int]


class Guard:
    """Watches the rows of a stack, and says what is to be done about them.

    Args:
        policy: see the module.
        layout: names the layers.
        rows: how many, M.
        device: where their numbers are.

    Attributes:
        deferred: whether nobody looks at the numbers during a step.
        failed: (M,) int64 on the device, the step 0, 1, ... at which a row's numbers were not finite, -1 for none.
        left_out: (M,) int64 on the device, updates that a row has left out.
        alarm: whether a row has been seen that needs a verdict before the next step.
        seen: why rows failed, of those that somebody has looked at.
    """

    def __init__(self, policy: Policy, layout: Layout, rows: int, device: torch.device) -> None:
        self.policy = policy
        self.layout = layout
        self.deferred = device.type != "cpu" and policy != "restore"
        self.failed = torch.full((rows,), -1, device=device)
        self.left_out = torch.zeros(rows, dtype=torch.long, device=device)
        self.alarm = False
        self.seen: dict[int, Exit] = {}

    def admitted(self, losses: Tensor, gradient: Tensor, step: int | Tensor) -> Tensor | None:
        """Which rows may take step 0, 1, ..., (M, 1) bool; None for all. The others are noted.

        Args:
            losses: (M,).
            gradient: (M, P).
            step: the step, a number or a tensor ().
        """
        finite = torch.isfinite(losses + gradient.sum(1))
        if not self.deferred:
            if bool(finite.all()):
                return None
            self._look(losses, gradient, finite, int(step))
        if self.policy != "stop":
            self.left_out.add_((~finite).long())
        if self.policy == "skip":
            return finite.unsqueeze(1)
        now = step.long() if isinstance(step, Tensor) else step
        self.failed.copy_(torch.where((self.failed < 0) & ~finite, now, self.failed))
        return (self.failed < 0).unsqueeze(1)

    def note(self, row: int, step: int, losses: Tensor, gradient: Tensor) -> None:
        """Note that somebody has seen `row` fail at step 0, 1, ..., with these losses (M,) and gradients (M, P)."""
        self.alarm = True
        self.failed[row] = step
        if self.policy != "stop":
            self.left_out[row] += 1
        self.seen.setdefault(row, self.why(losses, gradient, row, step))

    def _look(self, losses: Tensor, gradient: Tensor, finite: Tensor, step: int) -> None:
        """Note why rows are not finite, while their gradients are there."""
        if self.policy == "skip":
            return
        self.alarm = True
        for row in (~finite).nonzero().flatten().tolist():
            self.seen.setdefault(row, self.why(losses, gradient, row, step))

    def why(self, losses: Tensor, gradient: Tensor, row: int, step: int) -> Exit:
        """Name step + 1 and the first layer whose gradient (M, P) is not finite."""
        loss = float(losses[row])
        layers = [
            name
            for name, value in self.layout.views(gradient[row : row + 1]).items()
            if not bool(torch.isfinite(value).all())
        ]
        where = f"; first non-finite gradient: `{layers[0]}`" if layers else ""
        return Exit(step, loss, f"diverged at step {step + 1}: loss {loss:g}{where}; that update was not made")

    def verdict(self, again: Callable[[int], tuple[Tensor, Tensor]]) -> Verdict | None:
        """What is to be done about the rows since the last verdict; None for nothing.

        Args:
            again: losses (M,) and gradients (M, P) of a step, computed once more for rows that nobody has looked at:
                frozen weights and the batch, a function of its step, give the same.
        """
        if not (self.deferred or self.alarm or self.policy == "skip"):
            return None
        failed, left_out = self.failed.tolist(), self.left_out.tolist()
        rows = [row for row, step in enumerate(failed) if step >= 0]
        if not rows and self.policy != "skip":
            return None
        for row in rows if self.policy == "stop" else ():
            if row not in self.seen:
                self.seen[row] = self.why(*again(failed[row]), row, failed[row])
        ended = {row: self.seen[row] for row in rows} if self.policy == "stop" else {}
        self.alarm = False
        if self.policy == "restore":
            self.forget()
            return Verdict({}, rows, left_out)
        return Verdict(ended, (), left_out)

    def forget(self) -> None:
        """Forget what has failed; other rows are here now."""
        self.failed.fill_(-1)
        self.seen.clear()
        self.alarm = False

    def select(self, rows: Sequence[int], index: Tensor) -> None:
        """Keep only `rows`, given as numbers and as a tensor on the device."""
        self.failed, self.left_out = self.failed[index].clone(), self.left_out[index].clone()
        self.seen = {new: self.seen[old] for new, old in enumerate(rows) if old in self.seen}


def repaired_sentence(policy: Policy, count: int, rate: float) -> str:
    """What was done about `count` steps of a member that went on, at last with learning rate `rate`; or nothing."""
    if not count:
        return ""
    steps = f"the loss or gradient of {count} step{'s' if count > 1 else ''} was not finite"
    if policy == "skip":
        return f"{steps}; {'those updates were' if count > 1 else 'that update was'} left out"
    return f"{steps}; each time the best weights were restored and the rate was halved, at last to {rate:.3g}"
