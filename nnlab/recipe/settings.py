"""How the recipe is walked: the section `recipe` of its config."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnlab.errors import UserError
from nnlab.validation import check

STEPS = (1, 2, 3, 4, 5, 6, 7)


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """Which steps, how long, and with how many seeds.

    Args:
        steps: the steps to walk, of 1 ... 7; after step 7 the chosen configuration is trained and tested.
        keep_going: go on after a step that did not pass.
        time_limit: seconds for everything, [0.001, inf), all of which are used, and little more: trainings are
            shortened or stopped; null: as many trials as are worth it.
        rounds: how often step 7 tries a dozen changes, where there is no time limit; it adopts one at most each time.
            [0, inf)
        seeds: networks of each configuration in steps 3, 5 and 7. [2, inf)
        final_seeds: networks of the chosen configuration. [1, inf)
        ensemble: train the chosen configuration as one ensemble of that size instead of separate runs.
        coarse_epochs, refine_epochs: passes over the data in steps 4 and 5, a million updates at most, and with a time
            limit what it has room for; null chooses an epoch, or 600 updates where these are more, and 10 epochs or as
            many updates, by the time left.
    """

    steps: list[int] = field(default_factory=lambda: list(STEPS))
    keep_going: bool = False
    time_limit: float | None = None
    rounds: int = 2
    seeds: int = 3
    final_seeds: int = 5
    ensemble: bool = False
    coarse_epochs: float | None = None
    refine_epochs: float | None = None

    @property
    def walked(self) -> list[int]:
        """The steps in their order; the final training, number 8, follows step 7."""
        return sorted({*self.steps, *([8] if 7 in self.steps else [])})

    def __post_init__(self) -> None:
        wrong = [step for step in self.steps if step not in STEPS]
        if wrong or not self.steps:
            raise UserError(f"`recipe.steps` is a list of steps 1 to 7, got {self.steps}")
        check("recipe.rounds", self.rounds, "[0, inf)")
        check("recipe.seeds", self.seeds, "[2, inf)")
        check("recipe.final_seeds", self.final_seeds, "[1, inf)")
        for name, interval in (
            ("time_limit", "[0.001, inf)"),
            ("coarse_epochs", "(0, inf)"),
            ("refine_epochs", "(0, inf)"),
        ):
            if getattr(self, name) is not None:
                check(f"recipe.{name}", getattr(self, name), interval)
