"""The table of occlusion modes: a new mode is one file and one line here."""

from typing import Protocol

import numpy as np

from occsynth.modes.anywhere import Anywhere
from occsynth.modes.face import Choices, Face
from occsynth.modes.region import Region
from occsynth.modes.render import Occlusion
from occsynth.modes.square import Square


class Mode(Protocol):
    """Samples the record of an occlusion; all chance of a mode lies here."""

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """One occlusion.

        Args:
            rng: the row's own stream.
            face: the clean face; left untouched.
            choices: what the user chose.
            noise: key under which a noise fill is drawn.
        """
        ...


MODES: dict[str, Mode] = {
    "random": Anywhere(),
    "eyes": Region("eyes"),
    "mouth": Region("mouth"),
    "r8": Square(8),
    "r16": Square(16),
    "r24": Square(24),
}
