"""Requests to a server: one at a time to see that it is right, and wrk's load on it."""

import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from models import Wrong

SCRIPT = Path(__file__).with_name("post.lua")
# A start that takes longer has failed, seconds.
START_TIMEOUT = 120
# Between two attempts to reach a server that starts, seconds.
PAUSE = 0.002


class Load(NamedTuple):
    """What an interval of load found."""

    replies: int
    # Mean length of a reply with its head.
    reply_bytes: float
    seconds: float
    # CPU time of the server's processes.
    cpu_seconds: float
    p50_us: int
    p99_us: int


def ask(port, path, body):
    """Status and body of one reply; the status is None where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def first_reply(server, port, path, body, begun):
    """Seconds since `begun` until the first reply of status 200, and its body."""
    while True:
        status, reply = ask(port, path, body)
        took = time.perf_counter() - begun
        if status == 200:
            return took, reply
        if server.ended() or took > START_TIMEOUT:
            why = "ended" if server.ended() else f"gave no reply of status 200 in {START_TIMEOUT} s"
            raise Wrong(f"{server.name} {why} (last status: {status}, {reply[:300]!r}), it said:\n{server.said()}")
        time.sleep(PAUSE)


def numbers(document):
    """All numbers of a JSON document, in the order in which they stand."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        return [number for part in document for number in numbers(part)]
    return [document] if isinstance(document, (int, float)) and not isinstance(document, bool) else []


def check_reply(name, reply, expected):
    """Holds a reply against ONNX Runtime's own answer."""
    document = json.loads(reply)
    parts = [tensor["data"] for tensor in document["outputs"]] if "outputs" in document else document["predictions"]
    found = numbers(parts)
    right = len(found) == len(expected) and all(
        abs(one - other) <= 1e-6 + 1e-4 * abs(other) for one, other in zip(found, expected)
    )
    if not right:
        raise Wrong(f"{name} answers {str(found)[:200]}, ONNX Runtime {str(expected)[:200]}")


def press(server, url, body, connections, seconds, checked=None):
    """wrk over so many connections, each with its next request once it has its reply.

    With `checked`, the length of a right reply's body, each reply is looked at;
    without, wrk counts statuses from 400 on and bytes.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "10s", "--script", str(SCRIPT), url, "--", str(body)]
    command += [] if checked is None else [str(checked)]
    before = server.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True)
    cpu_seconds = server.cpu_seconds() - before
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith("{"):
        raise Wrong(f"wrk failed: {(done.stderr or done.stdout).strip()[-300:]}")
    found = json.loads(lines[-1])
    replies = found["replies"]
    if found["wrong"] or found["failed"] or not replies:
        why = next((line for line in lines if line.startswith("status ")), "see its log")
        counts = f"of {replies} replies {found['wrong']} were wrong and {found['failed']} failed"
        raise Wrong(f"{server.name}: {counts}: {why}")
    seconds = found["micros"] / 1e6
    return Load(replies, found["bytes"] / replies, seconds, cpu_seconds, found["p50"], found["p99"])
