"""What a mode is: a description, and a class that draws occlusions and is imported when the first one is drawn."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # OpenCV and NumPy come with them, and `--help` must not load either
    import numpy as np

    from occsynth.modes.face import Choices, Face
    from occsynth.modes.occlusion import Occlusion


class Sampler(Protocol):
    """What the class of a mode must offer. Everything random about a mode happens here."""

    def sample(self, rng: "np.random.Generator", face: "Face", choices: "Choices", noise: str) -> "Occlusion":
        """Draws the record of one occlusion.

        Args:
            rng: the random stream of the row; nothing else is random.
            face: the clean face; left untouched.
            choices: what the user chose for the whole build.
            noise: key from which the pixels of fill `noise` are drawn, see `occsynth.modes.seeds.noise_key`.

        Raises:
            OccSynthError: the mode cannot be drawn with these choices, such as without a suitable template.
        """
        ...


@dataclass(frozen=True)
class Mode:
    """A line of the table `occsynth.modes.MODES`.

    Attributes:
        description: what the mode hides, for `--help` and `occsynth modes`.
        sampler: `module:Class` in this folder, a `Sampler`. Text and not the class itself, since importing the class
            loads OpenCV.
        arguments: what the class is made with.
    """

    description: str
    sampler: str
    arguments: tuple[str | int, ...] = ()

    @cached_property
    def _made(self) -> Sampler:
        module, _, class_name = self.sampler.partition(":")
        made: Sampler = getattr(import_module(f"occsynth.modes.{module}"), class_name)(*self.arguments)
        return made

    def sample(self, rng: "np.random.Generator", face: "Face", choices: "Choices", noise: str) -> "Occlusion":
        """Draws the record of one occlusion, see `Sampler.sample`.

        The record depends on the arguments alone, so that the same stream draws the same occlusion:

        >>> import numpy as np
        >>> from occsynth.faces.landmarks import fallback_landmarks
        >>> from occsynth.modes import MODES
        >>> from occsynth.modes.face import Choices, Face
        >>> from occsynth.modes.seeds import row_rng
        >>> grey = np.full((96, 96, 3), 128, np.uint8)
        >>> face = Face.with_points(grey, fallback_landmarks((96, 96)).points_xy)
        >>> rng = row_rng(0, "demo", "r16", "s001_anger")
        >>> MODES["r16"].sample(rng, face, Choices(None, "black"), noise="").to_json()
        '{"fill":"black","square_xyxy":[4,19,36,51]}'
        """
        return self._made.sample(rng, face, choices, noise)
