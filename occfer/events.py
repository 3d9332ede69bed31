"""What long calls report while they run: one dict for each event, passed to a callback `on_step`.

Every event names its kind under `event`; the other keys follow from it:

- `note`: `text`, a sentence for the user.
- `fold`: `fold`, which is trained next; `done` of `folds` are finished.
- `pack`: `done` of `rows` pairs of a manifest are decoded.
- `predict`: `done` of `rows` pairs are predicted.
- `explain`: `done` of `rows` pairs are explained.
- `step`: `stage`, `epoch` of `epochs`, `round` of `rounds` (of the whole stage), `images_per_s`, `rates` (the learning
  rates of the last update, by name), and the mean of each loss term since the last such event (`total`, `sup`, `sim`,
  ...); `val_accuracy`, `val_loss` and `val_uar` where an epoch ended.
"""

from collections.abc import Callable
from typing import Any

# The loss terms of a `step` depend on the method, so an event is a plain dict.
Event = dict[str, Any]

OnStep = Callable[[Event], None]

# For calls that report one count alone: (done, all).
OnProgress = Callable[[int, int], None]


def ignore(event: Event) -> None:
    """The callback of a caller that does not want to know."""
