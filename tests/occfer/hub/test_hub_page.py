"""The commands of docs/hub.md run, one after another: pushes as they are printed there, pulls from a local Hub."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app as occfer
from occfer.hub.card_head import Licence
from occfer.hub.push import manifests_upload, model_upload, upload
from occfer.hub.repository import parse_address
from occsynth.cli.app import app as occsynth
from occsynth.manifest import open_manifest
from occsynth.sharing.publish import publish
from tests.builds import DEMO_ROOT, ROOT, STEMS, build_demo, demo_source
from tests.occfer.hub.hub_server import Hub

PAGE = (ROOT / "docs/hub.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(
    hub: Hub, private_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(private_run, "runs/first")
    Path("photos").mkdir()
    shutil.copy(DEMO_ROOT / demo_source(STEMS[0]), "photos/a.jpg")
    (few,) = build_demo(tmp_path / "builds", "r16", STEMS[:2])
    for path in few.path.parent.glob(f"{few.info.name}.*"):
        path.rename(path.with_name(path.name.replace(few.info.name, "demo-r16")))
    facts = few.path.with_name("demo-r16.json")
    facts.write_text(facts.read_text().replace(f'"{few.info.name}"', '"demo-r16"'))
    shared = publish(open_manifest(few.path.with_name("demo-r16.csv")), Path("demo-r16-shared.csv"))
    upload(
        model_upload(Path("runs/first"), parse_address("jane/first-model"), Licence("mit"), (), "0"), None, private=True
    )
    upload(manifests_upload([shared], parse_address("jane/demo-pairs"), Licence("mit"), "0"), None, private=True)
    programs = {"occfer": occfer, "occsynth": occsynth}
    before = list(hub.uploads())
    for kind, text in BLOCKS:
        assert kind == "console"
        for line in text.splitlines():
            program, *words = shlex.split(line.removeprefix("$ "))
            done = CliRunner().invoke(programs[program], words)
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    assert hub.uploads() == before
