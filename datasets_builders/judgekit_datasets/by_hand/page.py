"""Labelling on a local page: a small server on 127.0.0.1 for one annotator's browser.

The page loads nothing from elsewhere. Texts of problems and solutions reach it as JSON and are displayed as text, never
as markup; a content policy allows only its own script. Requests must carry the token in the address, so other users of
the machine cannot label, and other sites open in the browser can neither read nor write: requests that name another
host or come from another origin are refused.
"""

from __future__ import annotations

import hmac
import json
import secrets
import signal
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import judgekit.report.page
from judgekit.errors import ConfigError, DataError, describe_validation_error, one_line
from judgekit.report.page import asset
from judgekit.report.terminal import visible
from judgekit.types import Count
from judgekit_datasets.by_hand.annotations import MAX_NOTE
from judgekit_datasets.by_hand.work import Row, Work

TOKEN_HEADER = "X-Label-Token"
MAX_BODY = 20 * MAX_NOTE
"""Bytes of a request at most: a note of the longest kind, its characters escaped."""
MAX_SILENCE_S = 30.0
"""How long a connection may say nothing, seconds."""


class Asked(BaseModel):
    """What the page asks to be decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Count
    """Decisions that the page has seen: where there are more, it shows something that was decided since."""
    action: Literal["label", "skip", "undo"]
    """What to do."""
    first_error: Count | None = None
    """First wrong step of a label, 0-based; `None` for no error."""
    note: str = Field(default="", max_length=MAX_NOTE)
    """What the annotator remarked."""


class RefusedError(Exception):
    """A request is answered with another status than 200, and with what is wrong."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


class LabelServer(ThreadingHTTPServer):
    """Serves one session to a browser.

    Args:
        work: The open folder.
        port: Port on 127.0.0.1; 0 takes a free one.

    Raises:
        ConfigError: the port is taken or not allowed.
    """

    daemon_threads = True

    def __init__(self, work: Work, *, port: int) -> None:
        self.work = work
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        """Held by whoever reads or changes the session: a browser may ask twice at once."""
        self._figures_lock = threading.Lock()
        self._figures: tuple[int, list[Row]] | None = None
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot listen on 127.0.0.1 port {port}: {one_line(error)}. Choose another") from error

    @property
    def origins(self) -> set[str]:
        """The addresses under which a browser of this machine finds it."""
        return {f"http://{host}:{self.server_port}" for host in ("127.0.0.1", "localhost")}

    @property
    def address(self) -> str:
        """What the annotator opens."""
        return f"http://127.0.0.1:{self.server_port}/?token={self.token}"

    def state(self) -> dict[str, Any]:
        """Return what the page shows; call it with the lock held."""
        session = self.work.session
        shown = session.shown()
        solution = before = None
        if shown is not None:
            seen = shown.item.solution
            # Characters that hide or turn text around are spelled out, as in the terminal.
            solution = {
                "problem": visible(seen.problem),
                "steps": [visible(step) for step in seen.steps],
                "reference": None if seen.reference is None else visible(seen.reference),
            }
            if shown.before is not None:
                before = shown.before.model_dump(mode="json", include={"action", "first_error", "note"})
        return {
            "annotator": visible(session.annotator),
            "number": session.history.n_decisions,
            "solution": solution,
            "before": before,
            "can_undo": bool(session.history.holding),
            "progress": self.work.progress(),
        }

    def decide(self, asked: Asked) -> dict[str, Any]:
        """Write a decision down and return what is shown next.

        Raises:
            RefusedError: the page shows something older, or what it asks cannot be.
        """
        session = self.work.session
        with self.lock:
            if asked.number != session.history.n_decisions:
                raise RefusedError(409, "this was decided in another window: here is the next one")
            try:
                if asked.action == "undo":
                    session.undo()
                else:
                    session.decide(asked.action, first_error=asked.first_error, note=asked.note)
            except DataError as error:
                # What cannot be written down has a cause; anything else is a wrong request.
                raise RefusedError(422 if error.__cause__ is None else 507, str(error)) from error
            return self.state()

    def figures(self) -> list[Row]:
        """Return the figures; computed once after each decision, while labelling goes on."""
        with self._figures_lock:
            number = self.work.session.history.n_decisions
            if self._figures is None or self._figures[0] != number:
                self._figures = (number, self.work.figures())
            return [Row(visible(row.name), visible(row.value)) for row in self._figures[1]]

    def page(self, nonce: str) -> str:
        """Return the page, whose style and script carry a nonce."""
        style = asset(judgekit.report.page.__file__, "page.css") + asset(__file__, "label.css")
        parts = {"NONCE": nonce, "STYLE": style, "SCRIPT": asset(__file__, "label.js")}
        page = asset(__file__, "label.html")
        for name, text in parts.items():
            page = page.replace(f"%{name}%", text)
        return page

    def handle_error(self, *_: object) -> None:
        """Say nothing if a browser hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    server_version, sys_version = "judgekit", ""
    timeout = MAX_SILENCE_S

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/":
            self._answer_page()
        elif path == "/state":
            self._answer(self._state)
        elif path == "/figures":
            self._answer(self.server.figures)
        else:
            self._answer(self._nothing_here)

    def do_POST(self) -> None:
        self._answer(self._decide if self.path == "/decide" else self._nothing_here)

    def _answer_page(self) -> None:
        given = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        try:
            self._check(given)
        except RefusedError as error:
            self._send(error.status, str(error), "text/plain")
            return
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._send(200, self.server.page(nonce), "text/html", {"Content-Security-Policy": policy})

    def _answer(self, act: Callable[[], object]) -> None:
        """Answer with JSON: what `act` returns, or what is wrong."""
        try:
            self._check(self.headers.get(TOKEN_HEADER, ""))
            if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
                raise RefusedError(403, "requests from other sites are refused")
            status, said = 200, act()
        except RefusedError as error:
            status, said = error.status, {"error": str(error)}
        except DataError as error:
            status, said = 500, {"error": str(error)}
        self._send(status, json.dumps(said), "application/json")

    def _check(self, token: str) -> None:
        """Refuse whoever does not come from the page itself."""
        origins = self.server.origins
        # A site can let its own name lead to 127.0.0.1, but then its name stands here.
        if f"http://{self.headers.get('Host', '')}" not in origins:
            raise RefusedError(403, "this page is only served at 127.0.0.1")
        if self.headers.get("Origin", next(iter(origins))) not in origins:
            raise RefusedError(403, "requests from other sites are refused")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise RefusedError(403, "the token is wrong: open the address that judgekit label printed")

    def _state(self) -> object:
        with self.server.lock:
            return self.server.state()

    def _nothing_here(self) -> object:
        raise RefusedError(404, "there is nothing here")

    def _decide(self) -> object:
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(415, "send JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise RefusedError(411, "the request needs a Content-Length")
        if int(length) > MAX_BODY:
            raise RefusedError(413, f"more than {MAX_BODY} bytes")
        try:
            asked = Asked.model_validate_json(self.rfile.read(int(length)))
        except ValidationError as error:
            raise RefusedError(422, describe_validation_error(error)) from error
        return self.server.decide(asked)

    def _send(self, status: int, text: str, kind: str, more: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", "replace")
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",  # the address holds the token
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(status)
        for name, value in (headers | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no line a request: the terminal is the annotator's."""


def serve_page(work: Work, *, port: int, announce: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or SIGTERM; what was decided until then is written down. Main thread only.

    Args:
        work: The open folder.
        port: Port on 127.0.0.1; 0 takes a free one.
        announce: Called with the address when the page can be opened.

    Raises:
        ConfigError: the port is taken or not allowed.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with LabelServer(work, port=port) as server:
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            announce(server.address)
            server.serve_forever()
        except KeyboardInterrupt:
            # Never let go of again: a request that is being written down is finished, later ones wait and are cut off.
            server.lock.acquire()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
