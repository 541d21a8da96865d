"""Settings that must stand before anything is imported, and the fixtures that every test file may use."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before the first import of torch, datasets or huggingface_hub, which read these once.
_LIVE = os.environ.get("SYMDATA_LIVE_HUB") == "1"
"""Whether tests may use the Hub itself: then its token, endpoint and Xet stay as they are."""
if _LIVE:
    _THEIRS = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    os.environ.setdefault("HF_TOKEN_PATH", str(Path(_THEIRS, "token").expanduser()))
_HOME = tempfile.mkdtemp(prefix="symdata-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    HF_HOME=_HOME,  # no test sees, or leaves anything in, the caches and tokens of the person who runs it
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    MPLBACKEND="Agg",
    OMP_NUM_THREADS="1",  # torch reads it at import: two test runs on one machine do not fight for cores
)
if not _LIVE:
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # the loopback Hub speaks plain HTTP
_LOGIN = () if _LIVE else ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT")
for _name in (*_LOGIN, "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
    os.environ.pop(_name, None)

import hypothesis  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).parents[1]
"""The checkout, or the folder that the tests were copied to."""

# A deadline measures the machine, not the code; the same examples in every run keep a red test red.
hypothesis.settings.register_profile("symdata", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("symdata")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images (mnist, cifar10, ...); skips with a reason where there is none, but never in CI."""
    folder = Path(os.environ.get("SYMDATA_TEST_DATA") or ROOT.parent / "shared" / "data")
    if folder.is_dir():
        return folder
    reason = f"no real images at {folder}: set SYMDATA_TEST_DATA to a folder with mnist/, cifar10/, ..."
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _sizes_found_once() -> Iterator[None]:
    """The sizes in config.json, which depend on shapes alone, are found once per architecture and not at every save."""
    from zoo.exactness import by_size, record

    found: dict[str, dict[int, float]] = {}

    def once(model: Any, size: int, **options: Any) -> dict[int, float]:
        made = getattr(model, "architecture", None)
        key = repr((made, size, sorted(options.items())))
        if made is None or key not in found:
            found[key] = by_size.phi_by_size(model, size, **options)
        return dict(found[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "phi_by_size", once)
        yield
