"""What a card that is not the user's own may do: a socket that listens must see nothing, and no file of his is read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml

from judgekit.cli import main
from judgekit.errors import CheckpointError
from judgekit.judges import load_judge
from judgekit.judges.card import CARD
from judgekit.judges.doctor import store_golden, write_judge
from judgekit.judges.recognise import find_card, trust_judge
from judgekit.judges.trust import Origin, trusted_cards
from judgekit.types import Solution
from tests.judgekit.cards import changed

SOLUTION = Solution(problem="What is 1+1?", steps=("1+1=2",))
SECRET = "the-value-of-a-secret"


class Listener:
    """Accepts connections on 127.0.0.1 and keeps every byte that arrives."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        self.n_connections = 0
        self.received = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.n_connections += 1
            with connection:
                connection.settimeout(2)
                self.received += connection.recv(1 << 16)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    for name in ("SOME_SECRET", "JUDGEKIT_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    listening = Listener()
    yield listening
    listening.close()


def critic(url: str, **engine: Any) -> dict[str, Any]:
    """The fields of a critic's card that asks a server."""
    asked = {"type": "openai", "base_url": f"{url}/v1", "model": "m", "api_key_env": "SOME_SECRET", "max_retries": 0}
    section = {"prompt": "generic-1", "engine": asked | engine}
    return {"kind": "critic", "judge_id": "c", "critic": section, "decision": {"kind": "argmax"}}


def ensemble(*members: str) -> dict[str, Any]:
    """The fields of an ensemble's card."""
    share = [1 / len(members)] * len(members)
    return {
        "kind": "ensemble",
        "judge_id": "e",
        "ensemble": {"members": members, "rule": "mixture", "weights": share},
    }


def write(folder: Path, values: dict[str, Any], name: str = CARD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(values) if name == CARD else yaml.safe_dump(values))
    return folder


Repository = Callable[[Path, str], object]


def direct(root: Path, url: str) -> None:
    write(root, critic(url))


def in_a_subfolder(root: Path, url: str) -> None:
    write(root, ensemble("sub", "builtin:random"))
    write(root / "sub", critic(url))


def in_the_member_of_a_member(root: Path, url: str) -> None:
    write(root, ensemble("a", "builtin:random"))
    write(root / "a", ensemble("b/c", "builtin:random"))
    write(root / "a" / "b" / "c", ensemble("../../../d", "builtin:random"))
    write(root / "d", critic(url))


def in_yaml(root: Path, url: str) -> None:
    write(root, ensemble("critic.yaml", "builtin:random"))
    write(root, {"family": "critic", "critic": critic(url)["critic"]}, "critic.yaml")


def in_yaml_on_top_of_another_card(root: Path, url: str) -> None:
    write(root, ensemble("top.yml", "builtin:random"))
    write(root, {"model": "base"}, "top.yml")
    write(root / "base", critic(url))


def as_a_service(root: Path, url: str) -> None:
    write(root, ensemble(url, "builtin:random"))


def as_a_service_below(root: Path, url: str) -> None:
    write(root, ensemble("sub", "builtin:random"))
    write(root / "sub", ensemble(url, "builtin:random"))


def without_a_key(root: Path, url: str) -> None:
    write(root, critic(url, api_key_env=None, cost_log=None))


SHAPES: list[Repository] = [
    direct,
    in_a_subfolder,
    in_the_member_of_a_member,
    in_yaml,
    in_yaml_on_top_of_another_card,
    as_a_service,
    as_a_service_below,
    without_a_key,
]


def on_the_hub(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a folder be what the Hub gives for `evil/nice-judge`."""
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(root))
    return "evil/nice-judge"


def in_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lay it out as the cache of the Hub: a snapshot of links to blobs."""
    repository = root.parent / "models--evil--nice-judge"
    snapshot = repository / "snapshots" / "0123abcd"
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        blob = repository / "blobs" / str(number)
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, blob)
        link = snapshot / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    return str(snapshot)


def fetched_from_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    in_the_cache(root, monkeypatch)
    return "evil/nice-judge"


def in_a_local_dir(root: Path, _: pytest.MonkeyPatch) -> str:
    """As `snapshot_download(local_dir=...)` leaves it."""
    (root / ".cache" / "huggingface" / "download").mkdir(parents=True)
    return str(root)


def in_a_clone(root: Path, _: pytest.MonkeyPatch) -> str:
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text('[remote "origin"]\n\turl = git@hf.co:evil/nice-judge\n')
    return str(root)


def in_a_plain_copy(root: Path, _: pytest.MonkeyPatch) -> str:
    """`cp -r`, of which nothing tells where it comes from."""
    return str(root)


def by_a_link_to_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (root.parent / "mine").symlink_to(in_the_cache(root, monkeypatch))
    return str(root.parent / "mine")


WAYS = [
    on_the_hub,
    in_the_cache,
    fetched_from_the_cache,
    in_a_local_dir,
    in_a_clone,
    in_a_plain_copy,
    by_a_link_to_the_cache,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_card_of_somebody_else_asks_no_server(
    shape: Repository, way: Any, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape(tmp_path / "repo", listener.url)
    name = way(tmp_path / "repo", monkeypatch)
    with pytest.raises(CheckpointError, match=r"(server|environment).*`judgekit trust ") as error:
        load_judge(name).judge([SOLUTION])
    assert "\n" not in str(error.value) and SECRET not in str(error.value)
    assert (listener.n_connections, listener.received) == (0, b"")


@pytest.mark.parametrize("way", WAYS)
def test_no_command_asks_it_either(
    way: Any, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_yaml(tmp_path / "repo", listener.url)
    name = way(tmp_path / "repo", monkeypatch)
    assert main(["judge", "--judge", name, "--problem", "1+1?", "--step", "1+1=2"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "judgekit trust" in said and SECRET not in said
    data = tmp_path / "data.jsonl"
    row = {"problem": "1+1?", "steps": ["1+1=2"], "first_error": None, "source": "mine", "label_method": "human"}
    data.write_text(json.dumps(row) + "\n")
    assert (
        main(["eval", "--judge", name, "--benchmark", "processbench", str(data), "--output", str(tmp_path / "o")]) == 2
    )
    assert main(["doctor", name]) == 2
    assert listener.n_connections == 0


def test_once_trusted_it_asks_and_says_whom(
    listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    in_yaml(tmp_path / "repo", listener.url)
    assert main(["trust", str(tmp_path / "repo")]) == 0
    said = capsys.readouterr().out
    assert (
        f"{tmp_path / 'repo' / 'critic.yaml'}: the server '{listener.url}/v1', the environment variable 'SOME_SECRET'"
        in said
    )
    with caplog.at_level("INFO"):
        judge = load_judge(tmp_path / "repo")
    assert f"requests go to {listener.url}/v1, model m, with the value of SOME_SECRET as the key" in caplog.text
    assert SECRET not in caplog.text and listener.n_connections == 0, "nothing is sent before there is a solution"
    assert judge.judge([SOLUTION])[0].verdict is not None, "what the server fails to say, the other member says"
    assert f"Bearer {SECRET}".encode() in listener.received


@pytest.mark.parametrize("way", [on_the_hub, fetched_from_the_cache, in_a_local_dir, in_a_clone])
def test_a_repository_of_the_hub_can_be_trusted_too(
    way: Any, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_member_of_a_member(tmp_path / "repo", listener.url)
    name = way(tmp_path / "repo", monkeypatch)
    assert len(trust_judge(name)) == 4
    assert load_judge(name).info.judge_id == "e"
    assert find_card(name).trust.origin is Origin.OWN


def test_trust_ends_where_the_card_changes_or_is_copied(listener: Listener, tmp_path: Path) -> None:
    direct(tmp_path / "judge", listener.url)
    trust_judge(str(tmp_path / "judge"))
    load_judge(tmp_path / "judge")
    shutil.copytree(tmp_path / "judge", tmp_path / "copy")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / CARD).symlink_to(tmp_path / "judge" / CARD)
    write(tmp_path / "judge", critic(listener.url, model="another"))
    for place in ("judge", "copy", "linked"):
        with pytest.raises(CheckpointError, match="nothing here says that it is yours"):
            load_judge(tmp_path / place)


def test_cards_by_hand_and_ensembles_of_them_work_as_before(listener: Listener, tmp_path: Path) -> None:
    card = {"family": "critic", "critic": critic(listener.url)["critic"]}
    write(tmp_path, card, "critic.yaml")
    assert load_judge(tmp_path / "critic.yaml").info.judge_id == "critic"
    write(tmp_path, ensemble("critic.yaml", "builtin:random") | {"judge_id": "mine"}, "both.yaml")
    assert load_judge(tmp_path / "both.yaml").info.judge_id == "mine"


def test_what_our_commands_write_is_the_users_own(listener: Listener, tmp_path: Path) -> None:
    write(tmp_path, {"family": "critic", "critic": critic(listener.url)["critic"]}, "critic.yaml")
    written = write_judge(str(tmp_path / "critic.yaml"), tmp_path / "written", ())
    assert load_judge(written).info.judge_id == "critic"
    store_golden(written, ())
    assert load_judge(written).info.judge_id == "critic", "a card that our commands rewrite stays trusted"


def test_writing_a_card_anew_gives_no_trust(listener: Listener, tmp_path: Path) -> None:
    direct(tmp_path / "judge", listener.url)
    store_golden(tmp_path / "judge", ())
    with pytest.raises(CheckpointError, match="judgekit trust"):
        load_judge(tmp_path / "judge")
    assert not trusted_cards().exists()


def test_a_card_by_hand_may_send_a_hub_critic_to_a_server_of_its_own(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "repo", critic(listener.url) | {"critic": {"prompt": "generic-1"}})
    name = on_the_hub(tmp_path / "repo", monkeypatch)
    write(tmp_path, {"model": name, "critic": {"engine": critic(listener.url)["critic"]["engine"]}}, "mine.yaml")
    assert find_card(tmp_path / "mine.yaml").trust.origin is Origin.HUB, "what it opens is the Hub's still"
    assert load_judge(tmp_path / "mine.yaml").info.judge_id == "c"


# Files


def outside(tmp_path: Path) -> Path:
    """A prompt of the user's, outside of any repository."""
    prompt = Path(__file__).parents[3] / "judgekit" / "judges" / "critics" / "prompts" / "generic-1.yaml"
    shutil.copy(prompt, tmp_path / "private.yaml")
    return tmp_path / "private.yaml"


@pytest.mark.parametrize("way", [way for way in WAYS if way is not in_a_plain_copy])
@pytest.mark.parametrize("leads", ["absolute", "upwards", "symlink", "builtin"])
def test_a_hub_card_reads_no_prompt_outside_of_its_repository(
    leads: str, way: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = outside(tmp_path)
    names = {"absolute": str(secret), "upwards": "../private.yaml", "symlink": "in.yaml", "builtin": "../../card"}
    root = write(tmp_path / "repo", {**critic("http://x"), "critic": {"prompt": names[leads]}})
    name = way(root, monkeypatch)
    if leads == "symlink":
        (Path(find_root(name)) / "in.yaml").symlink_to(secret)
    with pytest.raises(CheckpointError, match=r"names the prompt .* outside of its repository"):
        load_judge(name)


def find_root(name: str) -> str:
    return name if Path(name).exists() else huggingface_hub.snapshot_download(name)


@pytest.mark.parametrize("way", [on_the_hub, fetched_from_the_cache, in_a_local_dir, in_a_clone])
@pytest.mark.parametrize("field", ["model", "tokenizer", "reference", "engine", "member"])
def test_a_hub_card_opens_no_model_outside_of_its_repository(
    field: str, way: Any, tiny_judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = json.loads((tiny_judge / CARD).read_text()) | {"golden": []}
    implicit = {"kind": "implicit", "coefficient": 1.0, "input": base["spec"]["input"]}
    for number, place in enumerate((str(tiny_judge), os.path.relpath(tiny_judge, tmp_path / "repo"), "link")):
        root = tmp_path / str(number) / "repo"
        write(root, base)
        (root / "link").symlink_to(tiny_judge)
        target = place if place != os.path.relpath(tiny_judge, tmp_path / "repo") else os.path.relpath(tiny_judge, root)
        engine = {"type": "transformers", "model": target}
        cards = {
            "model": base | {"spec": base["spec"] | {"model": target}},
            "tokenizer": base | {"spec": base["spec"] | {"tokenizer": target}},
            "reference": base | {"spec": implicit | {"reference": target}},
            "engine": critic("http://x") | {"critic": {"prompt": "generic-1", "engine": engine}},
            "member": ensemble(target, "builtin:random"),
        }
        write(root, cards[field])
        name = way(root, monkeypatch)
        if way is fetched_from_the_cache:
            shutil.copytree(root / "link", Path(find_root(name)) / "link.real")
            (Path(find_root(name)) / "link").symlink_to(tiny_judge)
        with pytest.raises(CheckpointError, match=f"names the (model|{field}) .* outside of its repository"):
            load_judge(name)


def test_a_hub_id_in_a_hub_card_is_no_folder_of_the_user(
    tiny_judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "repo", ensemble("runs/judge", "builtin:random"))
    shutil.copytree(tiny_judge, tmp_path / "runs" / "judge")
    monkeypatch.chdir(tmp_path)
    asked = []

    def fetch(name: str, **_: object) -> str:
        asked.append(name)
        return str(tmp_path / "repo") if name == "evil/nice-judge" else str(tiny_judge)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    load_judge("evil/nice-judge")
    assert "runs/judge" in asked


def test_ensembles_of_the_hub_that_name_each_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", ensemble("evil/b", "builtin:random"))
    write(tmp_path / "b", ensemble("evil/a", "builtin:random"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(tmp_path / name[-1]))
    with pytest.raises(CheckpointError, match="is an ensemble a member of itself"):
        load_judge("evil/a")
    assert main(["trust", "evil/a"]) == 0, "each is recorded once"


def test_an_ensemble_inside_its_repository_opens(
    tiny_judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "repo", ensemble("a", "builtin:random"))
    shutil.copytree(tiny_judge, tmp_path / "repo" / "a")
    for way in (on_the_hub, by_a_link_to_the_cache, in_a_plain_copy):
        judge = load_judge(way(tmp_path / "repo", monkeypatch))
        assert judge.judge([SOLUTION])[0].verdict is not None


def test_a_card_of_somebody_else_writes_no_file(listener: Listener, tmp_path: Path) -> None:
    victim = tmp_path / "profile"
    write(tmp_path / "repo", critic(listener.url, cost_log=str(victim), api_key_env=None))
    with pytest.raises(CheckpointError, match=r"the file .*profile' to write"):
        load_judge(tmp_path / "repo")
    assert not victim.exists()


def test_an_old_judge_with_paths_to_elsewhere_opens(tiny_judge: Path, tmp_path: Path) -> None:
    """As `judgekit doctor --write` and `judgekit ensemble` leave them."""
    write(tmp_path / "written", changed(tiny_judge, model=str(tiny_judge)))
    write(tmp_path / "both", ensemble("../written", "builtin:random"))
    assert load_judge(tmp_path / "both").judge([SOLUTION])[0].verdict is not None


def test_a_project_below_the_home_directory_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of the Hub lies in `~/.cache/huggingface`, and a project may have a remote on another site."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "huggingface" / "hub").mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / ".git" / "config").write_text('[remote "origin"]\n\turl = https://github.com/me/x\n')
    write(tmp_path / "project", {"family": "critic", "critic": {"prompt": "generic-1"}}, "mine.yaml")
    assert find_card(tmp_path / "project" / "mine.yaml").trust.origin is Origin.OWN


def test_ensembles_of_the_hub_that_stand_for_thousands_of_judges_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        write(tmp_path / str(number), ensemble(*[f"evil/{number + 1}"] * 4))
    write(tmp_path / "12", ensemble("builtin:random"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(tmp_path / name.split("/")[1]))
    with pytest.raises(CheckpointError, match="more than 100 members"):
        load_judge("evil/2")
    write(tmp_path, ensemble("evil/2", "builtin:random"), "mine.yaml")
    with pytest.raises(CheckpointError, match="more than 100 members"):
        load_judge(tmp_path / "mine.yaml")
