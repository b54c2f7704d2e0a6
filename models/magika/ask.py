"""Asks a running Plimsoll that serves magika what kind of files these are.

    python3 models/magika/ask.py FILE…
    python3 models/magika/ask.py --url http://127.0.0.1:8080/invocations README.md

Prints a line for each file: its name, the kind, how sure the model is (0 to
1), and the milliseconds from question to answer. Needs nothing but Python.
"""

import argparse
import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).resolve().parent
CONFIG = FOLDER.parents[1] / ".plimsoll" / "models" / "magika" / "config.min.json"

# The model looks at 1024 bytes from either end, white space at the ends not
# counted; 256 (no byte) stands where a file is shorter.
BLOCK_BYTES = 4096
END_BYTES = 1024
PADDING = 256


def question(path):
    """The 2048 numbers that the model wants to see of the file at `path`."""
    with open(path, "rb") as file:
        first = file.read(BLOCK_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - BLOCK_BYTES))
        last = file.read(BLOCK_BYTES)
    begin = list(first.lstrip()[:END_BYTES])
    end = list(last.rstrip()[-END_BYTES:])
    return begin + [PADDING] * (END_BYTES - len(begin)) + [PADDING] * (END_BYTES - len(end)) + end


def request(path):
    """The request body about one file."""
    return json.dumps({"instances": [question(path)]})


class Server:
    """One connection to the server, kept open between questions."""

    def __init__(self, url, names):
        self.url = url
        self.names = names
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            sys.exit(f"--url must look like http://HOST:PORT/invocations, found {url}")
        self.path = parts.path or "/invocations"
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=60)
        self.connection.connect()

    def kind(self, path):
        """The kind of the file at `path`, the model's certainty, and the milliseconds it took."""
        body = request(path)
        start = time.perf_counter()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = response.read()
        took_ms = (time.perf_counter() - start) * 1000
        if response.status != 200:
            sys.exit(f"{self.url} answered {response.status}: {answer.decode(errors='replace').strip()}")
        try:
            scores = json.loads(answer)["predictions"][0]
            best = max(range(len(scores)), key=scores.__getitem__)
            return self.names[best], scores[best], took_ms
        except (ValueError, KeyError, IndexError, TypeError):
            sys.exit(f"{self.url} gave no magika answer; does it serve the magika model?")


def main():
    parser = argparse.ArgumentParser(description="What kind of files are these? Asks a running magika.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--url", default="http://127.0.0.1:8080/invocations")
    parser.add_argument("--config", default=CONFIG, help="magika's config.min.json, which names the kinds")
    parser.add_argument("--print-request", action="store_true", help="print the request bodies, ask nobody")
    arguments = parser.parse_args()
    try:
        if arguments.print_request:
            print("\n".join(request(path) for path in arguments.files))
            return
        names = json.loads(Path(arguments.config).read_text())["target_labels_space"]
    except OSError as error:
        hint = " (`cargo xtask models` fetches it)" if error.filename == str(arguments.config) else ""
        sys.exit(f"cannot read {error.filename}: {error.strerror}{hint}")
    try:
        server = Server(arguments.url, names)
        for path in arguments.files:
            kind, score, took_ms = server.kind(path)
            print(f"{path}: {kind} {score:.3f} ({took_ms:.1f} ms)")
    except (OSError, http.client.HTTPException) as error:
        name = getattr(error, "filename", None)
        if name:
            sys.exit(f"cannot read {name}: {error.strerror}")
        sys.exit(f"no answer from {arguments.url}: {error}; is `plimsoll serve` running there?")


if __name__ == "__main__":
    main()
