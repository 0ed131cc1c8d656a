"""A real vLLM server on the loopback interface, in a process that ends with the tests whatever happens to them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = "small"
"""Name of the model on the server."""
_PR_SET_PDEATHSIG = 1


class VllmServer:
    """Serves a checkpoint from construction on; ask `wait_until_ready` before the first request.

    Args:
        checkpoint: Directory of a language model.
        log: File for its output.
        options: Further options of the command.
    """

    def __init__(self, checkpoint: Path, *, log: Path, options: tuple[str, ...] = ()) -> None:
        self.log = log
        self.port = _free_port()
        command = [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint)),
            *("--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(self.port)),
            *("--load-format", "safetensors", "--enforce-eager", *options),
        ]
        settings = {
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | settings,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    @property
    def url(self) -> str:
        """Address up to the version."""
        return f"http://127.0.0.1:{self.port}/v1"

    def wait_until_ready(self, *, deadline_s: float = 600.0) -> None:
        """Return when the server answers; fail with its output where it ended or does not answer in time."""
        end = time.monotonic() + deadline_s
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"no server:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.5)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End the server and its engine at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _end_with_parent() -> None:
    """Ask Linux to end this process when the one that started it ends; its engine notices and ends, too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
