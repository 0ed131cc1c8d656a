import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import huggingface_hub
import pytest

from judgekit.errors import ConfigError, DataError
from judgekit_datasets.curation import publish
from judgekit_datasets.curation.publish import push_to_hub

COMMIT = "https://huggingface.co/datasets/me/set/commit/1"


class FakeHub(BaseHTTPRequestHandler):
    """Answers as the Hub does to a small upload and remembers what was asked."""

    seen: ClassVar[list] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, body))
        self._answer(
            {
                "/api/repos/create": {"url": "https://huggingface.co/datasets/me/set"},
                "/api/datasets/me/set/preupload/main": {
                    "files": [
                        {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for file in (json.loads(body).get("files", []) if "preupload" in self.path else [])
                    ]
                },
                "/api/datasets/me/set/commit/main": {"commitUrl": COMMIT, "commitOid": "1"},
            }.get(self.path, {})
        )

    def do_GET(self):
        self._answer({"id": "me/set", "sha": "0", "siblings": []})

    def _answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    FakeHub.seen = []
    server = HTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(publish, "HfApi", lambda: huggingface_hub.HfApi(endpoint=address, token="hf_fake"))
    yield FakeHub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    for name in ("manifest.json", "README.md", "config.json", ".work/left", "data/part-00000.parquet"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "set"


def test_folder_is_uploaded_in_one_commit_without_hidden_files(hub, folder):
    assert push_to_hub(folder, "me/set", private=True) == COMMIT
    created = next(json.loads(body) for path, body in hub.seen if path == "/api/repos/create")
    assert (created["name"], created["organization"], created["type"]) == ("set", "me", "dataset")
    assert created.get("private") is True or created.get("visibility") == "private"
    commits = [body for path, body in hub.seen if path.endswith("/commit/main")]
    assert len(commits) == 1
    lines = [json.loads(line) for line in commits[0].splitlines()]
    assert {line["value"]["path"] for line in lines if line["key"] == "file"} == {
        "manifest.json", "README.md", "data/part-00000.parquet",
    }  # fmt: skip
    assert lines[0]["value"]["summary"] == "Upload set"


def test_unfinished_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no manifest.json: push a folder that"):
        push_to_hub(tmp_path, "me/set")


def test_hub_out_of_reach_is_a_clear_error(folder, monkeypatch):
    closed = HTTPServer(("127.0.0.1", 0), FakeHub)
    port = closed.server_port
    closed.server_close()
    monkeypatch.setattr(
        publish, "HfApi", lambda: huggingface_hub.HfApi(endpoint=f"http://127.0.0.1:{port}", token="hf_fake")
    )
    with pytest.raises(ConfigError, match=r"cannot push .* to 'me/set'.*HF_TOKEN"):
        push_to_hub(folder, "me/set")


def test_an_impossible_id_is_a_clear_error(hub, folder):
    with pytest.raises(ConfigError, match="cannot push"):
        push_to_hub(folder, "me/set/too/deep")
