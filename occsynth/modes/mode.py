"""What a mode is: a description, and a class that draws occlusions and is imported when the first one is drawn."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # OpenCV and NumPy come with them, and `--help` must not load either
    import numpy as np

    from occsynth.modes.face import Choices, Face
    from occsynth.modes.occlusion import Occlusion
    from occsynth.templates.wear import WearKind


class Sampler(Protocol):
    """What the class of a mode must offer. Everything random about a mode happens here."""

    def sample(self, rng: "np.random.Generator", face: "Face", choices: "Choices", noise: str) -> "Occlusion":
        """Draws the record of one occlusion.

        Args:
            rng: the random stream of the row; nothing else is random.
            face: the clean face; left untouched.
            choices: what the user chose for the whole build.
            noise: key from which the pixels of fill `noise` and the grain of the look `natural` are drawn, see
                `occsynth.modes.seeds.Stream.noise_key`.

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
        picture_fraction, face_fraction: the share of the picture or of the face that the mode's name stands for.
        wears: kinds of wear that it draws instead of the categories; the class is made with them, too.
    """

    description: str
    sampler: str
    arguments: tuple[str | int, ...] = ()
    picture_fraction: float | None = None
    face_fraction: float | None = None
    wears: tuple["WearKind", ...] = ()

    @property
    def named_share(self) -> str:
        """The share that the mode's name stands for, such as `11.1 % of the picture`; empty for none."""
        for share, whole in ((self.picture_fraction, "picture"), (self.face_fraction, "face")):
            if share is not None:
                return f"{100 * share:.3g} % of the {whole}"
        return ""

    @cached_property
    def _made(self) -> Sampler:
        module, _, class_name = self.sampler.partition(":")
        made: Sampler = getattr(import_module(f"occsynth.modes.{module}"), class_name)(*self.arguments, *self.wears)
        return made

    def sample(self, rng: "np.random.Generator", face: "Face", choices: "Choices", noise: str) -> "Occlusion":
        """Draws the record of one occlusion, see `Sampler.sample`.

        The record depends on the arguments alone, so that the same stream draws the same occlusion:

        >>> import numpy as np
        >>> from occsynth.faces.landmarks import fallback_landmarks
        >>> from occsynth.modes import MODES
        >>> from occsynth.modes.face import Choices, Face
        >>> from occsynth.modes.seeds import key_stream
        >>> grey = np.full((96, 96, 3), 128, np.uint8)
        >>> face = Face.with_points(grey, fallback_landmarks((96, 96)).points_xy)
        >>> rng = key_stream(0, "r16", "s001_anger").rng()
        >>> MODES["r16"].sample(rng, face, Choices(None, "black"), noise="").to_json()
        '{"fill":"black","square_xyxy":[22,51,54,83]}'
        """
        from occsynth.modes.look import with_look

        return with_look(self._made.sample(rng, face, choices, noise), rng, face, choices, noise)


@dataclass(frozen=True)
class Family:
    """A line of the table `occsynth.modes.FAMILIES`: modes whose names end with a share of the face in per cent.

    Attributes:
        description: what the modes hide; NN stands for the share.
        sampler: as in `Mode`.
        arguments: what the class is made with before the share, a whole number from 1 to 99.
        examples: shares that cover the range.
    """

    description: str
    sampler: str
    arguments: tuple[str | int, ...] = ()
    examples: tuple[int, ...] = (20, 40, 60)

    def mode(self, percent: int) -> Mode:
        """The mode of one share."""
        description = self.description.replace("NN", str(percent))
        return Mode(description, self.sampler, (*self.arguments, percent), face_fraction=percent / 100)
