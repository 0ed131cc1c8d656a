"""The page: who may ask what, what a browser shows, and a kill between two labels."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judgekit.io import read_records
from judgekit.types import LabelledSolution
from judgekit_datasets.by_hand.page import MAX_BODY, TOKEN_HEADER, LabelServer
from tests.conftest import Browser
from tests.datasets_builders.by_hand.work import opened, write_solutions


@contextlib.contextmanager
def served(folder: Path, **options: Any) -> Iterator[LabelServer]:
    with opened(folder, **options) as work, LabelServer(work, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    server: LabelServer, path: str, body: object = None, *, token: str | None = None, **headers: str | None
) -> tuple[int, Any, dict[str, str]]:
    """Ask as the page does but for some headers; `None` leaves one out. Returns status, answer and headers."""
    sent: dict[str, str | None] = {TOKEN_HEADER: server.token if token is None else token}
    if body is not None:
        sent |= {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{server.server_port}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(
        "GET" if body is None else "POST",
        path,
        body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
        {name: value for name, value in sent.items() if value is not None},
    )
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return (
        answer.status,
        json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text,
        dict(answer.headers),
    )


def test_labels_come_in_over_http(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        _, state, _ = ask(server, "/state")
        assert (state["number"], state["annotator"], len(state["solution"]["steps"])) == (0, "ann", 3)
        asked = {"number": 0, "action": "label", "first_error": 2, "note": "hm"}
        status, state, _ = ask(server, "/decide", asked)
        assert (status, state["number"], state["progress"][0]) == (200, 1, ["labelled", "1 of 8"])
        status, said, _ = ask(server, "/decide", asked)
        assert status == 409 and "decided in another window" in said["error"]
        _, state, _ = ask(server, "/decide", {"number": 1, "action": "undo"})
        assert state["before"] == {"action": "label", "first_error": 2, "note": "hm"}
        ask(server, "/decide", {"number": 2, "action": "label", "first_error": None})
        assert dict(ask(server, "/figures")[1])["more labels"].endswith("(now 1)")
    (record,) = read_records(tmp_path / "out" / "labelled", LabelledSolution)
    assert record.first_error is None


def test_a_decision_that_no_disk_takes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as server:
        with monkeypatch.context() as patch:
            patch.setattr("judgekit.io.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
            status, said, _ = ask(server, "/decide", {"number": 0, "action": "skip"})
        assert status == 507 and "No space left" in said["error"]
        assert ask(server, "/state")[1]["number"] == 0


def test_others_are_refused(tmp_path: Path) -> None:
    decide = {"number": 0, "action": "skip"}
    with served(tmp_path) as server:
        port = server.server_port
        refused: list[tuple[int, Any]] = []
        for path, body, options in (
            ("/state", None, {"token": ""}),
            ("/state", None, {"token": "wrong\u00e9"}),
            ("/", None, {}),
            ("/?token=wrong", None, {}),
            (f"/state?token={server.token}", None, {"token": ""}),
            ("/state", None, {"Host": f"evil.example:{port}"}),
            (f"/?token={server.token}", None, {"Host": "evil.example"}),
            ("/state", None, {"Host": "127.0.0.1"}),
            ("/decide", decide, {"Origin": "http://evil.example"}),
            ("/decide", decide, {"Origin": "null"}),
            ("/decide", decide, {"Origin": f"http://127.0.0.1:{port + 1}"}),
            ("/decide", decide, {"Sec_Fetch_Site": "cross-site"}),
            ("/decide", decide, {"Sec_Fetch_Site": "same-site"}),
        ):
            status, said, headers = ask(server, path, body, **options)  # type: ignore[arg-type]
            refused.append((status, path))
            assert "Access-Control-Allow-Origin" not in headers
            assert server.token not in str(said)
        assert {status for status, _ in refused} == {403}, refused
        for body, options, status in (
            (decide, {"Content_Type": "text/plain"}, 415),
            (b"{" * (MAX_BODY + 1), {}, 413),
            (b"{", {}, 422),
            (decide | {"more": 1}, {}, 422),
            (decide | {"action": "label", "first_error": 3}, {}, 422),
            (decide | {"action": "label", "first_error": -1}, {}, 422),
            (decide | {"note": "x" * 10_001}, {}, 422),
            ({"number": 0, "action": "undo"}, {}, 422),
        ):
            assert ask(server, "/decide", body, **options)[0] == status  # type: ignore[arg-type]
        assert ask(server, "/else")[0] == ask(server, "/state", decide)[0] == 404
        assert ask(server, "/state")[1]["number"] == 0
        assert ask(server, "/decide", decide, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_the_page_loads_nothing_and_runs_its_own_script_alone(tmp_path: Path) -> None:
    write_solutions(tmp_path / "rows.jsonl", hostile=True)
    with served(tmp_path) as server:
        _, page, headers = ask(server, f"/?token={server.token}")
        assert not re.search(r"https?:|url\(|@import|\bsrc=", page) and "owned" not in page
        policy = headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)';", policy)
        assert nonce and f'<script nonce="{nonce[1]}">' in page and "default-src 'none'" in policy
        assert nonce[1] not in ask(server, f"/?token={server.token}")[2]["Content-Security-Policy"]
        assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
        text = ask(server, "/state")[1]["solution"]["steps"][0]
        assert "\\x1b[2J\\u202e" in text and "</script>" in text


class Page:
    """A page in the browser, worked by keys alone."""

    def __init__(self, browser: Browser, address: str, *, width: int) -> None:
        self.browser, self.driver = browser, browser.driver
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.requests(), browser.messages()
        self.driver.get(address)
        self.until("state !== null")

    def until(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 60, 0.01).until(lambda driver: driver.execute_script(f"return {condition}"))

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def confirm(self, *keys: str) -> None:
        """Press keys and wait until one more decision is on disk."""
        number = self.get("state.number")
        self.press(*keys)
        self.until(f"state.number === {number + 1} && !busy")

    def get(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def text(self, element: str) -> str:
        return str(self.driver.find_element("id", element).text)


@pytest.mark.parametrize("width", [1400, 390])
def test_a_browser_labels_by_keys(width: int, browser: Browser, tmp_path: Path) -> None:
    enter, escape = "\ue007", "\ue00c"
    rows = [{"problem": f"P{i}", "steps": [f"step {k} " + "word " * 40 for k in range(13)]} for i in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with served(tmp_path) as server:
        page = Page(browser, server.address, width=width)
        page.press(enter)
        assert "Choose the first wrong step" in page.text("trouble") and page.get("state.number") == 0
        page.press("1", "2")
        assert page.text("chosen") == "Step 12 is the first wrong one." and not page.text("trouble")
        bottom = page.get("document.querySelector('.wrong').getBoundingClientRect().bottom")
        assert bottom <= page.get("document.querySelector('.choice').getBoundingClientRect().top")
        page.press("j", "k", "k")
        assert page.text("chosen") == "Step 10 is the first wrong one."
        page.press(escape, "j", "j")
        page.confirm(enter)
        page.confirm("n", enter)
        page.press("e", "n 3?", enter, "7")
        page.confirm(enter)
        page.confirm("s")
        page.confirm("u")
        page.confirm("u")
        assert page.text("chosen") == "Step 7 is the first wrong one." and page.get("at('note').value") == "n 3?"
        page.confirm("9", enter)
        page.press("f")
        page.until("at('figures').children.length === 1")
        assert "labelled\n3 of 8" in page.text("progress") or "labelled 3 of 8" in page.text("progress")
        assert page.get("document.documentElement.scrollWidth <= innerWidth")
        page.press("?")
        assert page.get("at('help').open")
        page.press(escape, "4")
        assert page.text("chosen") == "Step 4 is the first wrong one."
        assert browser.messages() == []
        assert {url.split("?")[0].rsplit("/", 1)[0] for url in browser.requests() if "data:" not in url} == {
            f"http://127.0.0.1:{server.server_port}"
        }
    records = read_records(tmp_path / "out" / "labelled", LabelledSolution)
    assert sorted(str(record.first_error) for record in records) == ["1", "9", "None"]


def test_hostile_texts_stay_texts_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    write_solutions(tmp_path / "rows.jsonl", 1, hostile=True)
    with served(tmp_path, annotator="<b>ann</b>") as server:
        page = Page(browser, server.address, width=390)
        assert "<img src=x onerror" in page.text("problem") and "\\u202e" in page.text("steps")
        assert page.text("who") == "labelling as <b>ann</b>"
        assert page.get("document.title") == "Label" and page.get("document.images.length") == 0
        page.confirm("n", "\ue007")
        assert "Everything is labelled" in page.text("done")
        assert page.get("document.documentElement.scrollWidth <= innerWidth") and browser.messages() == []


def start(folder: Path, *more: str) -> tuple[subprocess.Popen[str], str]:
    """Start the page in a process of its own and return it with the address."""
    command = [sys.executable, "-m", "judgekit.cli", "label", "--input", str(folder / "rows.jsonl"), "--page"]
    process = subprocess.Popen([*command, "--output", str(folder / "out"), *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise AssertionError("no address")


def test_a_killed_page_loses_no_label(tmp_path: Path) -> None:
    write_solutions(tmp_path / "rows.jsonl")
    process, address = start(tmp_path)
    for number in range(3):
        assert post(address, {"number": number, "action": "label", "first_error": number})["number"] == number + 1
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    process, address = start(tmp_path, "--resume")
    assert post(address, {"number": 3, "action": "label", "first_error": None})["number"] == 4
    process.terminate()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "4 labelled solutions" in said
    records = read_records(tmp_path / "out" / "labelled", LabelledSolution)
    assert sorted(str(record.first_error) for record in records) == ["0", "1", "2", "None"]


def post(address: str, body: object) -> Any:
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", address)
    assert found
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
    headers = {TOKEN_HEADER: found[2], "Content-Type": "application/json"}
    connection.request("POST", "/decide", json.dumps(body), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
