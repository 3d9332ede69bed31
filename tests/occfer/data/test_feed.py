"""Batches from worker processes: the same bits as without, errors in one line, and no process left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from occfer.data.augmentation import Augmentation
from occfer.data.batch_maker import BatchMaker, LiveOcclusion
from occfer.data.batches import Batches, PairBatch
from occfer.data.feed import Feed
from occfer.data.image_store import ImageStore
from occfer.data.manifests import read_corpus
from occfer.data.packs import open_packs
from occfer.data.passes import Pairing, Passes
from occfer.data.shared_batches import SharedBatches
from occfer.errors import DataError, TrainingError
from occfer.faces.live_occlusion import live_occluder
from tests.builds import ROOT
from tests.occfer.toy_builds import WORDS
from tests.occsynth.test_parallel import SMALL_SHARED_MEMORY, UNSHARE, may_mount

MakeBuild = Callable[..., Path]


def darken(clean: np.ndarray, face: str, _mode: str, epoch: int) -> np.ndarray:
    return clean // (2 + epoch % 3) + np.uint8(len(face))


def process_of(number: int) -> tuple[int, int]:
    return number, os.getpid()


def refuse_the_third(number: int) -> int:
    if number == 3:
        raise DataError("picture 3 is gone")
    return number


def fail_at_the_third(number: int) -> int:
    return number // (3 - number) if number == 3 else number


def end_at_the_third(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def batches_of(manifests: list[Path], live: LiveOcclusion | None, workers: int, **more: float) -> Batches:
    corpus = read_corpus(manifests)
    indices = np.arange(len(corpus.samples))
    labels = np.array([WORDS.index(sample.expression) for sample in corpus.samples])
    store = ImageStore(open_packs(corpus, 24), corpus.samples, torch.device("cpu"), indices)
    make = BatchMaker(
        images=store.on_host,
        on_device=store.resident,
        passes=Passes(indices, 8, 0, "student"),
        pairing=Pairing("category", indices, labels),
        augmentation=Augmentation(True, 2, 0.2, 20.0, 0.2, 0.3, 0.5),
        live_occlusion=live,
        clean_share=0.25,
    )
    return Batches(store, make, labels, workers)


def test_the_images_of_a_batch_last_until_the_next_one_is_asked_for(make_build: MakeBuild) -> None:
    """While workers have made all batches that they may make ahead of their use."""
    alone = batches_of([make_build(subjects=3)], None, 0).make
    shared = SharedBatches(alone, 2)
    for number in range(3, 14):
        made, expected = shared.batch(number), alone(number)
        time.sleep(0.1)
        assert made.images is not None and expected.images is not None
        assert torch.equal(made.images, expected.images) and np.array_equal(made.indices, expected.indices)
    shared.close()


def mapped() -> int:
    """How many pieces of torch's shared memory this process has mapped."""
    return sum("/torch_" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_the_shared_memory_is_mapped_once_and_freed_at_the_end(make_build: MakeBuild) -> None:
    before = mapped()
    several = batches_of([make_build(subjects=3)], None, 2)
    several.batch(0)
    assert mapped() == before + 1
    for number in range(1, 12):
        several.batch(number)
    assert mapped() == before + 1
    several.close()
    assert mapped() == before


_SHORT_OF_MEMORY = """
import sys
from pathlib import Path
from occfer.errors import TrainingError
from tests.occfer.data.test_feed import batches_of
try:
    batches_of([Path(sys.argv[1])], None, 4).batch(0)
except TrainingError as error:
    print(error)
"""


def test_too_little_shared_memory_is_one_line(make_build: MakeBuild, tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("no mount namespaces here")
    script = tmp_path / "short.py"
    script.write_text(_SHORT_OF_MEMORY)
    program = [sys.executable, str(script), str(make_build(subjects=3))]
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", SMALL_SHARED_MEMORY.format(size="128k"), "sh", *program],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert re.fullmatch(
        r"shared memory \(/dev/shm\) for batches ran out \(.*\): try fewer --workers, or 0, and .*\n", done.stdout
    ), done
    assert done.stderr == ""


def same(one: PairBatch, other: PairBatch) -> bool:
    assert one.clean is not None and other.clean is not None
    pairs = [(one.occluded, other.occluded), (one.clean, other.clean), (one.clean_indices, other.clean_indices)]
    return all(torch.equal(*pair) for pair in pairs) and one.all_indices.tolist() == other.all_indices.tolist()


def ended(process: int, within_s: float = 20.0) -> bool:
    """Whether a process ends; one that nobody has asked for its exit code yet has ended, too."""
    for _ in range(int(within_s / 0.1)):
        status = Path(f"/proc/{process}/status")
        try:
            if "\nState:\tZ" in status.read_text():
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("kind", ["the manifest's", "a function", "occsynth's"])
def test_any_number_of_workers_makes_the_same_batches(make_build: MakeBuild, kind: str) -> None:
    """Also from a number in the middle on, as after a restart."""
    manifests = [make_build(subjects=3), make_build(subjects=2, name="toy-r8", mode="r8")]
    live = {"the manifest's": None, "a function": darken}.get(kind, live_occluder("eyes", manifests, 4))
    numbers = (0, 1, 2, 6, 7)
    alone = batches_of(manifests, live, 0)
    expected = [alone.batch(number) for number in numbers]
    for workers in (1, 4):
        several = batches_of(manifests, live, workers)
        for number, batch in zip(numbers, expected, strict=True):
            assert same(several.batch(number), batch), (workers, number)
        several.close()


def test_items_come_from_several_processes_which_end_with_the_feed() -> None:
    feed = Feed(process_of, 2)
    made = [feed.item(number) for number in range(6)]
    processes = {process for _, process in made}
    assert [number for number, _ in made] == list(range(6))
    assert len(processes) == 2 and os.getpid() not in processes
    feed.close()
    assert all(ended(process, 1) for process in processes)
    feed.close()
    assert feed.item(4)[0] == 4  # it may be used again
    feed.close()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (refuse_the_third, DataError, "picture 3 is gone"),
        (fail_at_the_third, TrainingError, "making batch 3 failed: ZeroDivisionError: .*by zero"),
        (end_at_the_third, TrainingError, r"a process that makes batches was killed \(.*--workers.*--resume"),
    ],
)
def test_an_error_of_a_worker_is_one_line(make: Callable[[int], int], error: type[Exception], words: str) -> None:
    feed = Feed(make, 1)
    with pytest.raises(error) as raised:
        for number in range(4):
            assert feed.item(number) == number
    assert re.fullmatch(words, str(raised.value))
    feed.close()


def test_torchs_own_random_numbers_do_not_advance() -> None:
    before = torch.get_rng_state()
    feed = Feed(process_of, 1)
    feed.item(0)
    feed.close()
    assert torch.equal(torch.get_rng_state(), before)


# A script as users write it: it does its work as soon as it is loaded.
_FEEDING = """
import signal
from occfer.data.feed import Feed
from tests.occfer.data.test_feed import process_of
feed = Feed(process_of, 2)
processes = {feed.item(number)[1] for number in range(8)}
print(*processes, flush=True)
signal.pause()
"""


def test_workers_end_when_the_process_that_trains_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "feeding.py"
    script.write_text(_FEEDING)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert workers
    process.kill()
    assert process.stdout.read() == "", "a worker has run the script too"
    assert all(ended(worker) for worker in workers)
