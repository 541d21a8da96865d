"""A Hugging Face Hub on the loopback interface, for the real, unmodified clients huggingface_hub 2.x and datasets 5.x.

    with LoopbackHub() as hub:
        hub.api().create_repo("user/squares", repo_type="dataset")       # in this process
        hub.run("from datasets import load_dataset; load_dataset('user/squares')")       # in a fresh one
        hub.inject(path="/resolve/", status=503)
        print(hub.requests[-1], hub.requests[-1].status)

Covered: accounts and tokens; creating, deleting, private and gated model and dataset repositories; preupload, LFS
batch, upload and verify, commits, parent_commit, tags, branches, refs, history, tree, paths-info; resolve with ETag,
X-Repo-Commit, ranges, large files behind a redirect to another host name (localhost for 127.0.0.1) against a signature;
listings with tags, card data, siblings, safetensors and evaluation results; pagination; the Hub's errors. Hashes are
git's own. `hub.store.part = 1000` takes larger files in parts; `hub.store.xet = 503` announces files on a content store
of Xet that answers everything with this status (to clients without HF_HUB_DISABLE_XET=1).

Not covered: a content store of Xet that works, which is how the live Hub takes and serves large files by default (the
environment given to clients says HF_HUB_DISABLE_XET=1), https, pull requests and discussions, Spaces, buckets,
renaming, copying between repositories, squashing, .gitignore, the dataset viewer, rate limits, and all but a part of
the checks on cards.
A test against this server is a test of the protocol as read and recorded, not a test against the live Hub.
"""

import copy
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from tests.support.hub import commits, files, repos, views
from tests.support.hub.errors import HubError
from tests.support.hub.faults import Call, Fault, Frontier
from tests.support.hub.store import Account, File, Repo, Store

if TYPE_CHECKING:
    import pytest
    from huggingface_hub import HfApi

ROOT = Path(__file__).resolve().parents[2]
CLIENT_WARNING = "ignore:Use 'content=:DeprecationWarning"
"""huggingface_hub 2.4 uploads large files over plain HTTP in a way that its own HTTP library has deprecated."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_START_SECONDS = 10.0


class LoopbackHub:
    """A Hub that lives as long as its `with` block, on a free port of 127.0.0.1, and forgets everything at the end.

    `user` may write to "user/..." and "lab/..." with `token`; `read_token` is the same user's, read-only;
    `stranger_token` belongs to the user "stranger". Raises RuntimeError at the end if the server itself failed.
    """

    user = "user"
    token = "hf_user_write"
    read_token = "hf_user_read"
    stranger_token = "hf_stranger_write"

    def __init__(self, page_size: int = 1000) -> None:
        self.store = Store(page_size=page_size)
        self.add_user(self.user, self.token, orgs=("lab",))
        self.add_user(self.user, self.read_token, role="read", orgs=("lab",))
        self.add_user("stranger", self.stranger_token)
        app = Starlette(routes=[*repos.routes, *commits.routes, *files.routes], exception_handlers={HubError: _refuse})
        app.router.redirect_slashes = False
        app.state.store = self.store
        self._frontier = Frontier(app)
        self._folder = tempfile.TemporaryDirectory(prefix="loopback-hub-")

    def __enter__(self) -> Self:
        # asyncio sends small packets at once only on sockets that say they are TCP; else each answer costs 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.store.endpoint, self.store.cdn = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        config = uvicorn.Config(
            self._frontier,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"The loopback Hub did not start within {_START_SECONDS:.0f} s")
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "huggingface_hub" in sys.modules:
            # The client of this process keeps connections open; left alone they would outlive the server.
            sys.modules["huggingface_hub"].close_session()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._folder.cleanup()
        if kind is None and self._frontier.crashes:
            raise RuntimeError(f"The loopback Hub failed on a request:\n{self._frontier.crashes[0]}")

    @property
    def url(self) -> str:
        """The endpoint, as HF_ENDPOINT wants it."""
        return self.store.endpoint

    @property
    def home(self) -> Path:
        """The default HF_HOME of clients started here: empty at first, gone at the end."""
        return Path(self._folder.name) / "home"

    @property
    def requests(self) -> list[Call]:
        """Every request so far, oldest first. Clear it to start counting."""
        return self._frontier.calls

    @property
    def crashes(self) -> list[str]:
        """Tracebacks of requests that this server failed on."""
        return self._frontier.crashes

    def inject(self, **effects: Any) -> Fault:
        """Make requests fail; `Fault` lists the effects. Returns the fault, which counts its `hits`."""
        fault = Fault(**effects)
        self._frontier.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Let all requests succeed again."""
        self._frontier.faults.clear()

    def memory(self) -> tuple[Any, Any]:
        """All repositories and large files as they are now, for `recall`."""
        return copy.deepcopy(self.store.repos), dict(self.store.blobs)

    def recall(self, memory: tuple[Any, Any]) -> None:
        """Make the repositories and large files what they were then, at this Hub or another; no request is counted."""
        repos, blobs = memory
        self.store.repos, self.store.blobs = copy.deepcopy(repos), dict(blobs)
        self.requests.clear()

    def add_user(self, name: str, token: str, role: str = "write", orgs: tuple[str, ...] = ()) -> None:
        """Accept one more token."""
        self.store.accounts[token] = Account(name, role, orgs)

    def repo(self, repo_id: str, repo_type: str = "model") -> Repo:
        """A repository as the server has it. Raises KeyError if it does not exist."""
        return self.store.repos[f"{repo_type}s", repo_id]

    def read(self, repo_id: str, path: str, revision: str = "main", repo_type: str = "model") -> bytes:
        """The bytes the server has for a file, without a request."""
        return self.store.content(self.repo(repo_id, repo_type).resolve(revision).files[path])

    def tamper(self, repo_id: str, path: str, data: bytes, repo_type: str = "model") -> None:
        """Replace the bytes of a file on main and keep its hashes and history, as a faulty or hostile store would."""
        files = self.repo(repo_id, repo_type).resolve("main").files
        if files[path].sha256:
            self.store.blobs[str(files[path].sha256)] = data
        else:
            cast(dict[str, File], files)[path] = replace(files[path], data=data)

    def plant(self, repo_id: str, files: dict[str, bytes], repo_type: str = "model") -> str:
        """Put files on main, in a commit of their own, under any names at all, as a hostile store would; its sha."""
        repo = self.repo(repo_id, repo_type)
        planted = {path: File.regular(data) for path, data in files.items()}
        return repo.commit("main", {**repo.resolve("main").files, **planted}, self.user, "planted").oid

    def api(self, token: str | bool | None = None) -> "HfApi":
        """A client of this Hub in this process, as `user` unless another token, or False for none, is given.

        Large files go over plain HTTP only if huggingface_hub was told so: call `use_here` first.
        """
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.url, token=self.token if token is None else token)

    def env(self, home: Path | None = None, token: str | None = token, **extra: str) -> dict[str, str]:
        """The environment for a client in another process: this one's, but for this Hub, with caches in `home`."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGINGFACE", "HUGGING_FACE")) and name.lower() not in _PROXIES
        }
        home = home or self.home
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        kept |= {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "XDG_CACHE_HOME": str(home / "xdg"),
            "PYTHONPATH": paths,
        }
        kept |= dict.fromkeys(("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"), "1")
        kept |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1,localhost"}
        return kept | ({"HF_TOKEN": token} if token else {}) | extra

    def run(self, code: str, *arguments: str, check: bool = True, **where: Any) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python in a fresh process against this Hub; `where` goes to `env`.

        Raises AssertionError with the child's stderr if it fails, unless `check` is False.
        """
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        done = subprocess.run(command, env=self.env(**where), cwd=ROOT, capture_output=True, text=True, timeout=300)
        if check and done.returncode:
            raise AssertionError(f"The client exited with {done.returncode}:\n{done.stderr[-4000:]}")
        return done

    def cli(self, *arguments: str, check: bool = True, **where: Any) -> subprocess.CompletedProcess[str]:
        """Run the `symdata` command in a fresh process against this Hub; as `run`."""
        code = "import sys; sys.argv[0] = 'symdata'; from cli.main import main; main()"
        return self.run(code, *arguments, check=check, **where)

    def use_here(self, patch: "pytest.MonkeyPatch", home: Path | None = None, token: str | None = token) -> None:
        """Point the clients already imported into this process at this Hub, until `patch` undoes it.

        They read the environment once, at import, so their constants are replaced; those of `datasets` only if it is
        imported. The clients' code is untouched.
        """
        from huggingface_hub import HfFileSystem, close_session, constants

        home = home or self.home
        close_session()
        HfFileSystem.clear_instance_cache()
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("HF_TOKEN", token) if token else patch.delenv("HF_TOKEN", raising=False)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, self.url)
        replaced = {"ENDPOINT": self.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
        replaced |= {"HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_TOKEN_PATH": str(home / "token")}
        replaced |= {"HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True, "HF_HUB_DISABLE_PROGRESS_BARS": True}
        replaced |= {
            "HF_URL_HOSTS": constants.HF_URL_HOSTS | {"127.0.0.1"},
            "AGENT_HARNESSES_PATH": str(home / "agents.json"),
        }
        for name, value in replaced.items():
            patch.setattr(constants, name, value)
        if "datasets" in sys.modules:
            config = sys.modules["datasets"].config
            patch.setattr(config, "HF_ENDPOINT", self.url)
            patch.setattr(config, "HUB_DATASETS_URL", self.url + "/datasets/{repo_id}/resolve/{revision}/{path}")
            patch.setattr(config, "HF_DATASETS_CACHE", home / "datasets")
            patch.setattr(config, "DOWNLOADED_DATASETS_PATH", home / "datasets" / "downloads")


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, HubError):
        raise error
    return views.reply({"error": error.message}, error.status, error.headers())
