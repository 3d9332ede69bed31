"""Verify: check that a build is what its manifest says, image by image and as a whole."""

from dataclasses import dataclass, field
from pathlib import Path

from occsynth.databases.roots import raw_root as find_raw_root
from occsynth.errors import ManifestError
from occsynth.manifest import Manifest
from occsynth.parallel import Progress, batches, run_chunks
from occsynth.sharing.manifest_checks import RowTotals, info_problems, landmark_problems, reject_problems
from occsynth.sharing.remake import CHUNK_ROWS, Recipe, recipe_of
from occsynth.sharing.row_checks import verify_chunk


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked and found.

    Attributes:
        rows: how many rows were checked.
        problems: `(pair_id or file, what is wrong)`, sorted.
        not_checked: what could not be checked, and what that would need.
    """

    rows: int
    problems: list[tuple[str, str]]
    not_checked: list[str] = field(default_factory=list)


def verify(
    manifest: Manifest,
    *,
    raw_root: Path | None = None,
    templates: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Checks columns, files, pixel hashes, equality outside the mask, order of rows, disjoint subjects, and counts.

    >>> from pathlib import Path
    >>> from occsynth.build.build import build
    >>> from occsynth.build.options import BuildOptions
    >>> from occsynth.manifest import open_manifest
    >>> from occsynth.sharing.verify import verify
    >>> _ = Path("two.txt").write_text("s001_anger\\ns002_fear\\n")
    >>> _ = build(BuildOptions(db="demo", modes=("r16",), subset=Path("two.txt"), workers=1))
    >>> manifest = open_manifest(Path("builds/manifests/demo-r16-two.csv"))
    >>> verify(manifest, workers=1).problems
    []
    >>> manifest.file(next(manifest.rows()).mask).unlink()
    >>> verify(manifest, workers=1).problems
    [('images/s001/s001_anger', 'data/demo-r16-two/mask/images/s001/s001_anger.png: file not found')]

    Args:
        manifest: of a build; a published one has no images to verify.
        raw_root: with it, every image is also made again from its source and compared.
        templates: the pack that the build used, if it was not the one that ships with occsynth.
        workers: number of processes; default one per core.
        progress: called with the phase `pairs`.

    Raises:
        ManifestError: a row cannot be parsed (with its line), or the manifest is a published one, without images.
        ReplayError: `templates` is not the build's pack.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(
            f"{manifest.path} is published: it has no images of its own. Replay it, then verify the replayed manifest"
        )
    recipe = None
    if raw_root is not None:
        recipe = recipe_of(manifest, find_raw_root(info.database, raw_root), templates)
    totals = RowTotals()
    # chunks are drawn here, in order, whatever the workers do: the totals see every row once, as the file has them
    watched = batches(totals.watch(manifest.rows()), CHUNK_ROWS)
    chunks = ((str(manifest.root), info, recipe, chunk) for chunk in watched)
    problems: list[tuple[str, str]] = []
    done = 0
    for count, found in run_chunks(verify_chunk, chunks, workers=workers):
        problems += found
        done += count
        if progress:
            progress("pairs", done, info.rows)
    problems += totals.problems + info_problems(info, totals)
    problems += landmark_problems(manifest, done) + reject_problems(manifest)
    return VerifyReport(done, sorted(problems), _not_checked(manifest, recipe))


def _not_checked(manifest: Manifest, recipe: Recipe | None) -> list[str]:
    left = []
    if recipe is None and manifest.info.format == "jpeg":
        left.append(
            "pixels of clean and occluded images: JPEG is lossy and the hashes were taken before encoding; give --root"
        )
    elif recipe is None:
        left.append("whether the images follow from their sources: give --root to render them again")
    absent = [name for name in ("landmarks.npz", "rejects.csv") if not manifest.beside(f".{name}").exists()]
    if absent:
        left.append(f"{' and '.join(absent)}, which {'are' if len(absent) > 1 else 'is'} not beside the manifest")
    return left
