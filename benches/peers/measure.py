"""Plimsoll and one peer on one model: started in turn, and then taking turns at the same load."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

import servers
from load import check_reply, first_reply, press
from models import PLACE, Wrong
from processes import Server

# Connections that keep the serving core busy.
CONNECTIONS = 16
STARTS = 5
# By which the mean length of replies may differ.
SLACK = 0.02
# Seconds of each interval over one connection.
ALONE_SECONDS = 2
# Seconds after each interval: requests that wrk has left behind are then through.
PAUSE = 0.3


class Side(NamedTuple):
    """One of the two servers on the model."""

    name: str
    # Launch -> command, environment
    start: object
    place: Path
    path: str
    body: Path
    warm_up: int


def launch(side, model, core):
    """The server at its first reply of status 200: itself, its port, seconds it took, the reply."""
    scratch = PLACE / "scratch" / side.name
    rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    port = servers.free_port()
    command, environment = side.start(servers.Launch(side.place, model, scratch, port))
    begun = time.perf_counter()
    server = Server(side.name, command, environment, core, scratch / "log")
    try:
        took, reply = first_reply(server, port, side.path, side.body.read_bytes(), begun)
    except BaseException:
        server.kill()
        raise
    return server, port, took, reply


def answer(folder, model):
    """What ONNX Runtime answers in a peer's environment, all numbers."""
    command = [folder / "bin" / "python", servers.HERE / "onnx_model.py", model.file, model.rows]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"ONNX Runtime cannot run {model.name}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def check_lengths(name, first, later):
    """Replies that nobody looked at are as long as those that were."""
    for load in later:
        if abs(load.reply_bytes / first.reply_bytes - 1) > SLACK:
            raise Wrong(f"{name}: replies of {first.reply_bytes:.0f} bytes became {load.reply_bytes:.0f}")


def figures(loads, alone, starts, resident):
    """What is kept of one server, interval by interval."""
    return {
        "per_cpu_second": [load.replies / load.cpu_seconds for load in loads],
        "per_second": [load.replies / load.seconds for load in loads],
        "busy": [load.cpu_seconds / load.seconds for load in loads],
        "p50_ms": [load.p50_us / 1000 for load in alone],
        "p99_ms": [load.p99_us / 1000 for load in alone],
        "start_s": starts,
        "resident_bytes": resident,
    }


def pair(plimsoll, peer, folder, model, cores, seconds, rounds):
    """Figures of both, Plimsoll's first."""
    serving, _ = cores
    sides = (
        Side("plimsoll", servers.plimsoll, plimsoll, "/invocations", model.rows, 4),
        Side(peer.name, peer.start, folder, peer.path.format(model=model.name), peer.body(model), peer.warm_up),
    )
    expected = answer(folder, model)
    starts, running = ([], []), []
    try:
        for turn in range(STARTS):
            for index, side in enumerate(sides):
                server, port, took, reply = launch(side, model, serving)
                running.append((server, port, len(reply)))
                check_reply(side.name, reply, expected)
                starts[index].append(took)
                if turn + 1 < STARTS:
                    running.pop()[0].kill()
                else:
                    server.pause()
        loads, alone = ([], []), ([], [])

        def turn_of(index, connections, length, checked=None):
            server, port, _ = running[index]
            url = f"http://127.0.0.1:{port}{sides[index].path}"
            server.resume()
            load = press(server, url, sides[index].body, connections, length, checked)
            time.sleep(PAUSE)
            server.pause()
            return load

        # Every reply is looked at here; afterwards they must be as long on the average.
        warm = [turn_of(index, CONNECTIONS, side.warm_up, running[index][2]) for index, side in enumerate(sides)]
        for turn in range(rounds):
            print(f"  {peer.name}, {model.name}: round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
            # In turn the first, as whoever comes second may find the machine warmer.
            for index in (0, 1) if turn % 2 == 0 else (1, 0):
                loads[index].append(turn_of(index, CONNECTIONS, seconds))
                alone[index].append(turn_of(index, 1, ALONE_SECONDS))
        for index, side in enumerate(sides):
            check_lengths(side.name, warm[index], loads[index] + alone[index])
        resident = [server.resident_bytes() for server, _, _ in running]
    finally:
        for server, _, _ in running:
            server.kill()
    return [figures(loads[index], alone[index], starts[index], resident[index]) for index in (0, 1)]


def ratios(one, other):
    """Of two servers' replies per CPU-second, round by round."""
    return [mine / theirs for mine, theirs in zip(one["per_cpu_second"], other["per_cpu_second"])]


def middle(values):
    return statistics.median(values)
