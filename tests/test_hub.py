"""What the model hub may answer, from a small server that answers so; the real client asks it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .conftest import ROOT

SECRET = "hf_aVerySecretTokenThatMustNotShow"
ANSWERS = {
    "gated": (403, "GatedRepo"),
    "private": (401, "RepoNotFound"),
    "absent": (404, "RepoNotFound"),
    "revision": (404, "RevisionNotFound"),
    "refused": (403, ""),
    "broken": (500, ""),
}


class Hub(BaseHTTPRequestHandler):
    """Answers each model id by its name."""

    def do_GET(self) -> None:
        status, code = next((answer for name, answer in ANSWERS.items() if f"me/{name}" in self.path), (404, ""))
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def loading(model: str, endpoint: str, tmp: str) -> str:
    code = (
        "import sys, llm_magics\n"
        "from llm_magics.errors import LLMMagicsError\n"
        "try:\n    llm_magics.load(sys.argv[1])\n"
        "except LLMMagicsError as error:\n    print(type(error).__name__); print(*error._render_traceback_(), sep='\\n')\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_TOKEN": SECRET, "HF_HOME": tmp}
    run = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert SECRET not in run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        ("me/gated", "AccessError", "grants access on request"),
        ("me/private", "ModelNotFoundError", "HF_TOKEN"),
        ("me/absent", "ModelNotFoundError", "Check the id"),
        ("me/revision", "ModelNotFoundError", "revision"),
        ("me/refused", "AccessError", "HTTP 403"),
        ("me/broken", "ModelError", "could not be fetched"),
    ],
)
def test_each_answer_gives_two_calm_lines(
    model: str, name: str, said: str, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = loading(model, endpoint, str(tmp_path_factory.mktemp("hf"))).splitlines()
    assert lines[0] == name
    assert len(lines) == 3
    assert said in lines[1] + lines[2]
    assert model in lines[1]


def test_no_network_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = loading("me/any", "http://127.0.0.1:9", str(tmp_path_factory.mktemp("hf"))).splitlines()
    assert lines[0] == "OfflineError"
    assert "demo works offline" in lines[2]
