"""Samples as tar archives, as WebDataset reads them: the files of a sample lie one after another under one key."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from occsynth.exchange.arrow import IMAGE, Features, features, label_feature
from occsynth.exchange.samples import VIEWS, Plan, Sample
from occsynth.pixels.images import ENDINGS


def write_tar(part: Path, samples: Iterable[Sample], plan: Plan) -> None:
    """Writes an archive, one sample at a time; the same samples give the same bytes.

    Members have no time, owner or rights of this machine.
    """
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in samples:
            for name, content in _members(sample, plan):
                member = tarfile.TarInfo(f"{sample.key}.{name}")
                member.size = len(content)
                member.mode = 0o644
                archive.addfile(member, io.BytesIO(content))


def _members(sample: Sample, plan: Plan) -> Iterator[tuple[str, bytes]]:
    for view in VIEWS:
        if sample.ending(view):
            yield f"{view}{sample.ending(view)}", sample.image(view)
    yield "cls", str(plan.labels.index(sample.row.expression)).encode()
    told = {"label": sample.row.expression, **sample.texts(), "fold": sample.row.fold, **sample.numbers()}
    yield "json", json.dumps(told, ensure_ascii=False).encode()


def tar_features(plan: Plan) -> Features:
    """The types of the columns that `datasets` makes of the members."""
    image_endings = {view: ENDINGS["png" if view == "mask" else plan.manifest.info.format] for view in VIEWS}
    told = features(plan) | {"label": {"dtype": "string", "_type": "Value"}}
    return {
        **{f"{view}{ending}": IMAGE for view, ending in image_endings.items()},
        "cls": label_feature(plan),
        "json": told,
        "__key__": {"dtype": "string", "_type": "Value"},
        "__url__": {"dtype": "string", "_type": "Value"},
    }
