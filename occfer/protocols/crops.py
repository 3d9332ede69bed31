"""What still differs between the faces that a column's models are trained on and those that they are tested on."""

from collections.abc import Iterator

from occfer.protocols.manifests import CROPPED, ProtocolManifest
from occfer.protocols.protocol import Protocol, TestedOn


def crop_notes(protocol: Protocol) -> list[str]:
    """A note for each column that tests other databases than its models are trained on."""
    return [note for tested in protocol.present for note in _differences(protocol, tested)]


def _differences(protocol: Protocol, tested: TestedOn) -> Iterator[str]:
    training_set = protocol.sets[tested.training]
    trained, tests = training_set.manifests, tested.evaluate_on or training_set.test_manifests
    if {each.database for each in tests} <= {each.database for each in trained}:
        return
    if {each.align for each in trained} != {each.align for each in tests}:
        yield (
            f"{tested.column.title}: not the same crop on both sides: trained on {_aligned(trained)}, tested on "
            f"{_aligned(tests)}"
        )
        return
    before = sorted({each.database for each in (*trained, *tests) if each.database in CROPPED})
    size_px = training_set.size_px or trained[0].size_px
    rest = [f"the pictures of {', '.join(before)} were cropped by their authors before"] if before else []
    rest += [f"those of {each.name} are resized from {each.size_px} px" for each in tests if each.size_px != size_px]
    yield (
        f"{tested.column.title}: all faces are aligned alike, by {trained[0].align}"
        + ("; what still differs: " + ", and ".join(rest) if rest else "")
    )


def _aligned(manifests: tuple[ProtocolManifest, ...]) -> str:
    return ", ".join(f"{each.name} (aligned by {each.align})" for each in manifests)
