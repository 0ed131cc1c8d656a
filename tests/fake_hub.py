"""A Hub on this machine: takes what `huggingface_hub` uploads and hands it out again.

Files are in the commit itself, as small ones are at the real one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeHub(ThreadingHTTPServer):
    """Remembers repositories and their files; `address` is for `HF_ENDPOINT`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        """Files by repository, `models/OWNER/NAME` or `datasets/OWNER/NAME`."""
        self.created: list[dict[str, Any]] = []
        """What was asked of each repository that was made."""
        self.commits: list[str] = []
        """The summary of each commit."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            self.server.created.append(repo := json.loads(body))
            self._answer({"url": f"https://huggingface.co/{repo['organization']}/{repo['name']}"})
        elif "preupload" in parts:
            sent = json.loads(body)["files"]
            self._answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in sent]})
        elif "commit" in parts:
            lines = [json.loads(line) for line in body.splitlines()]
            files = self.server.files.setdefault("/".join(parts[1:4]), {})
            for line in lines:
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.server.commits += [line["value"]["summary"] for line in lines if line["key"] == "header"]
            self._answer(
                {"commitUrl": f"https://huggingface.co/{'/'.join(parts[2:4])}/commit/1", "commitOid": "1" * 40}
            )
        else:
            self._answer({})

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "api":
            files = self.server.files.get("/".join(parts[1:4]), {})
            siblings = [{"rfilename": name} for name in files]
            if "tree" in parts:
                self._answer(
                    [
                        {"type": "file", "path": name, "size": len(files[name]), "oid": _etag(files[name])}
                        for name in files
                    ]
                )
                return
            self._answer({"id": "/".join(parts[2:4]), "sha": "1" * 40, "siblings": siblings})
            return
        content = self.server.files.get(f"models/{parts[0]}/{parts[1]}", {}).get("/".join(parts[4:]))
        if content is None:
            self._answer({"error": "Entry not found"}, status=404, **{"X-Error-Code": "EntryNotFound"})
            return
        self._answer(content, **{"ETag": f'"{_etag(content)}"', "X-Repo-Commit": "1" * 40})

    do_HEAD = do_GET

    def _answer(self, value: Any, *, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Run one in a thread."""
    server = FakeHub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
