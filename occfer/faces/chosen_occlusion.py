"""An occlusion that somebody chooses for one face: what hides how much of it, and the seed that it is drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfer.data.arrays import Images
from occfer.errors import DataError
from occfer.faces.face import Face
from occsynth.errors import OccSynthError
from occsynth.modes import FAMILIES, MODES, find_mode
from occsynth.modes.face import Face as OccludableFace
from occsynth.modes.seeds import key_stream
from occsynth.occluder import Occluder
from occsynth.option_values import FILLS
from occsynth.pixels.images import pixels_sha256
from occsynth.templates.pack import TemplatePack, load_pack
from occsynth.templates.sprites import OPAQUE_ALPHA

ANY_TEMPLATE = "any template"
KINDS: Mapping[str, str] = {name: each.description.replace("NN %", "part") for name, each in FAMILIES.items()} | {
    name: each.description for name, each in MODES.items()
}
"""What can be chosen as a mode, with what it hides: the families, whose share is chosen too, and the modes."""


def takes_share(kind: str) -> bool:
    """Whether a mode of this kind hides a share of the face that is chosen."""
    return kind in FAMILIES


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody chose.

    Attributes:
        kind: a name of `KINDS`.
        percent: the share of the face that kinds with a share hide, 1 to 99.
        occluder: a name of `ChosenOccluder.names`.
        seed: another one draws another occlusion.
    """

    kind: str
    percent: int
    occluder: str = ANY_TEMPLATE
    seed: int = 0

    @property
    def mode(self) -> str:
        """The mode's name, such as `eyes` or `upper-40`."""
        return f"{self.kind}-{self.percent}" if takes_share(self.kind) else self.kind


@dataclass(frozen=True, slots=True, eq=False)
class OccludedFace:
    """A face with its occlusion.

    Attributes:
        image: `(S, S, 3)` uint8 RGB.
        mask: `(S, S)` uint8, how much each pixel is covered or shaded.
        record: JSON, the column `occlusion` of a manifest: rendering it on the clean face gives `image` again.
        hidden_fraction: the share of the face that is hidden, 0 to 1.
    """

    image: Images
    mask: Images
    record: str
    hidden_fraction: float


class ChosenOccluder:
    """Draws chosen occlusions from the templates of a pack.

    Args:
        templates: folder of a template pack; default the one that ships with occsynth.

    Raises:
        DataError: the pack cannot be used.
    """

    def __init__(self, templates: Path | None = None) -> None:
        try:
            self._pack = load_pack(templates)
        except OccSynthError as error:
            raise DataError(str(error)) from error
        categories = dict.fromkeys(each.category for each in self._pack.templates.values())
        self._options: dict[str, dict[str, Any]] = {
            ANY_TEMPLATE: {"templates": self._pack},
            **{f"any {name}": {"templates": self._of(category=name), "categories": (name,)} for name in categories},
            **{f"plain {fill}": {"fill": fill} for fill in FILLS if fill != "template"},
            **{
                file: {"templates": self._of(file=file), "categories": (each.category,)}
                for file, each in self._pack.templates.items()
            },
        }

    def _of(self, **wanted: str) -> TemplatePack:
        """The pack with only those templates of which all of this is true."""
        chosen = {
            file: each
            for file, each in self._pack.templates.items()
            if all(getattr(each, name) == value for name, value in wanted.items())
        }
        return TemplatePack(self._pack.folder, chosen)

    @property
    def names(self) -> list[str]:
        """What can be chosen to hide a face: any template, a category, a plain patch, or one template."""
        return list(self._options)

    def __call__(self, face: Face, choice: Choice, picture: Images) -> OccludedFace:
        """The face with the chosen occlusion.

        Args:
            face: with its mesh; left untouched.
            choice: what hides it.
            picture: where the face is from, any size; its pixels decide the draw beside the seed, so that models
                with other sizes of faces draw from the same numbers.

        Raises:
            DataError: the mode cannot be drawn with this occluder; the message says what to choose.
        """
        if choice.occluder not in self._options:
            raise DataError(f"no occluder '{choice.occluder}'; choose one of the list")
        if choice.kind not in KINDS or not 1 <= choice.percent <= 99:
            raise DataError(f"no mode '{choice.kind}' of {choice.percent} %; choose one of the list, and 1 to 99 %")
        if face.mesh_xy is None:
            raise DataError("an occlusion is placed by landmarks: the face must come from an aligner with points")
        clean = OccludableFace.with_points(face.image, face.mesh_xy)
        options = self._options[choice.occluder]
        self._refuse_what_is_not_worn(choice, options.get("templates"))
        try:
            occluder = Occluder(choice.mode, seed=choice.seed, **options)
            stream = key_stream(choice.seed, choice.mode, pixels_sha256(picture))
            rendered, occlusion = occluder.draw(face.image, stream, clean.regions.points_xy)
        except OccSynthError as error:
            if choice.occluder == ANY_TEMPLATE:
                raise DataError(f"{choice.mode} cannot be drawn: {error}") from error
            raise DataError(
                f"{choice.mode} cannot be drawn with {choice.occluder}; choose another occluder, and for what is worn "
                "the mode random, sunglasses or mask"
            ) from error
        hidden = clean.regions.coverage(rendered.alpha, OPAQUE_ALPHA)["face"]
        return OccludedFace(rendered.image, rendered.mask, occlusion.to_json(), hidden)

    @staticmethod
    def _refuse_what_is_not_worn(choice: Choice, pack: TemplatePack | None) -> None:
        """Raises DataError for templates that the mode, which draws what is worn, would pass over."""
        kinds = find_mode(choice.mode).wears
        if pack is None or not kinds:
            return
        if not any(each.wear is not None and each.wear.kind in kinds for each in pack.templates.values()):
            raise DataError(
                f"{choice.mode} draws only {' and '.join(kinds)}; choose {ANY_TEMPLATE}, any wear or one of these"
            )
