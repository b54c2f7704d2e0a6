"""One `plimsoll serve` process on one model."""

import http.client
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

# Longer than this is a hang: to start, and to answer.
PATIENCE_SECONDS = 30
LISTENING = re.compile(rb"0\.0\.0\.0:(\d+)")


class Gone(Exception):
    """The server does not start, does not answer, or is no more; the text says what it said."""


class Server:
    def __init__(self, binary, library, model):
        self.folder = tempfile.TemporaryDirectory(prefix="conformance-")
        base = Path(self.folder.name)
        (base / "model").mkdir()
        (base / "model" / "model.onnx").symlink_to(model.resolve())
        self.log = base / "log"
        environment = {
            "PATH": "/usr/bin:/bin",
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": "0",
            "PLIMSOLL_ONNXRUNTIME_LIBRARY": str(library),
            "PLIMSOLL_SLOTS": "1",
            "PLIMSOLL_INTRA_OP_THREADS": "1",
            "PLIMSOLL_METRICS_ROUTE": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if "LOCPATH" in os.environ:
            environment["LOCPATH"] = os.environ["LOCPATH"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.port = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    @property
    def alive(self):
        return self.process.poll() is None

    def wait_until_ready(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := LISTENING.search(self.log.read_bytes())):
            if not self.alive:
                raise Gone(f"the server does not start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Gone(f"the server is not ready after {PATIENCE_SECONDS} s: {self.last_words()}")
            time.sleep(0.003)
        self.port = int(found[1])

    def invoke(self, headers, body):
        """Status, `Content-Type` and body of the reply."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/invocations", body, headers)
            reply = connection.getresponse()
            return reply.status, reply.getheader("Content-Type"), reply.read()
        except TimeoutError:
            raise Gone(f"no answer in {PATIENCE_SECONDS} s: {self.last_words()}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"the server is gone ({error!r}): {self.last_words()}") from None
        finally:
            connection.close()

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
