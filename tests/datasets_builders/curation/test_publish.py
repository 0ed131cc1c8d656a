from http.server import BaseHTTPRequestHandler, HTTPServer

import huggingface_hub
import pytest

import judgekit.hub
from judgekit.errors import ConfigError, DataError
from judgekit_datasets.curation.publish import push_to_hub
from tests.fake_hub import fake_hub


def point_to(monkeypatch, address):
    monkeypatch.setattr(judgekit.hub, "HfApi", lambda: huggingface_hub.HfApi(endpoint=address, token="hf_fake"))


@pytest.fixture
def hub(monkeypatch):
    with fake_hub() as server:
        point_to(monkeypatch, server.address)
        yield server


@pytest.fixture
def folder(tmp_path):
    for name in ("manifest.json", "README.md", "config.json", ".work/left", "data/part-00000.parquet"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "set"


def test_folder_is_uploaded_in_one_commit_without_hidden_files(hub, folder):
    assert push_to_hub(folder, "me/set", private=True) == "https://huggingface.co/me/set/commit/1"
    [created] = hub.created
    assert (created["name"], created["organization"], created["type"]) == ("set", "me", "dataset")
    assert created.get("private") is True or created.get("visibility") == "private"
    assert hub.commits == ["Upload set"]
    files = hub.files["datasets/me/set"]
    assert {*files} == {"manifest.json", "README.md", "data/part-00000.parquet"}
    assert files["data/part-00000.parquet"] == b"data/part-00000.parquet"


def test_unfinished_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no manifest.json: push a finished folder"):
        push_to_hub(tmp_path, "me/set")


def test_hub_out_of_reach_is_a_clear_error(folder, monkeypatch):
    closed = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = closed.server_port
    closed.server_close()
    point_to(monkeypatch, f"http://127.0.0.1:{port}")
    with pytest.raises(ConfigError, match=r"cannot push .* to 'me/set'.*HF_TOKEN"):
        push_to_hub(folder, "me/set")


def test_an_impossible_id_is_a_clear_error(hub, folder):
    with pytest.raises(ConfigError, match="cannot push"):
        push_to_hub(folder, "me/set/too/deep")
