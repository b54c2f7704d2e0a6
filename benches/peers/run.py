"""Measures Plimsoll against what users would pick instead, on the same models and the same core.

    python3 benches/peers/run.py [PEER…] [--models iris,minilm] [--seconds 2] [--rounds 5]

Peers are fastapi, multi-model-server, mlserver, litserve and bentoml; without a
name, all of them. Each is installed into an environment of its own under
.plimsoll/peers the first time. The server has one core, wrk another. Tables go
to standard output or --output; targets are printed with whether they are
reached. --record FILE adds the results to those that the file has, so that peers
can be measured one after the other; the tables are then of all of them.
"""

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import environments
import measure
import page
from models import MODELS, ROOT, STORE, Wrong, prepare
from servers import PEERS, java_home


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"{', '.join(PEERS)}; all without a name")
    parser.add_argument("--models", default="iris,minilm", help=f"of {', '.join(MODELS)}, with commas between")
    parser.add_argument("--seconds", type=int, default=2, help="length of each interval of load, 2")
    parser.add_argument("--rounds", type=int, default=5, help="intervals of each server, 5")
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "plimsoll")
    parser.add_argument("--output", type=Path, help="where the tables go")
    parser.add_argument("--record", type=Path, help="results as JSON, added to those that are there")
    return parser.parse_args()


def known(words, names, what):
    for word in words:
        if word not in names:
            raise Wrong(f"{word!r} is no {what} that is measured; there are {', '.join(names)}")
    return list(dict.fromkeys(words))


def siblings(core):
    """The hardware threads of a core."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not path.is_file():
        return {core}
    found = set()
    for part in path.read_text(encoding="utf-8").strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def two_cores():
    """The serving CPU and the sending one: the first that may be used, and the next that is not its sibling."""
    allowed = sorted(os.sched_getaffinity(0))
    for other in allowed[1:]:
        if other not in siblings(allowed[0]):
            return allowed[0], other
    raise Wrong(f"two cores are needed, one for the server and one for the load; there are the CPUs {allowed}")


def prerequisites(options, peers):
    """What is missing is said before anything takes time."""
    if not sys.platform.startswith("linux"):
        raise Wrong(f"CPU time and memory are read from /proc, which {sys.platform} has not: Linux only")
    for name in ("seconds", "rounds"):
        if getattr(options, name) < 1:
            raise Wrong(f"--{name} is {getattr(options, name)}, expected 1 or more")
    if shutil.which("wrk") is None:
        raise Wrong("the load generator `wrk` is not on the PATH: install it, on Debian `apt-get install wrk`")
    if not options.binary.is_file():
        build = "cargo build --release --package plimsoll"
        raise Wrong(f"{options.binary} is missing: run `{build}`, or name another by --binary")
    library = STORE / "onnxruntime" / "libonnxruntime.so"
    if not library.is_file():
        raise Wrong(f"{library} is missing: run `cargo xtask onnxruntime`")
    if any(peer.java for peer in peers):
        java_home()
    return environments.size(options.binary) + environments.size(library.resolve())


def main():
    options = arguments()
    peers = [PEERS[name] for name in known(options.peers or list(PEERS), PEERS, "peer")]
    names = known(options.models.split(","), MODELS, "model")
    plimsoll_installed = prerequisites(options, peers)
    cores = two_cores()
    models = [prepare(name) for name in names]
    installed = [(peer, *peer.install()) for peer in peers]
    # Here runs what sends; servers bind themselves to the other.
    os.sched_setaffinity(0, {cores[1]})
    results = page.recorded(options.record)
    for peer, folder, versions, size in installed:
        for model in models:
            ours, theirs = measure.pair(
                options.binary.resolve(), peer, folder, model, cores, options.seconds, options.rounds
            )
            result = {"peer": peer.name, "title": peer.title, "model": model.name, "versions": versions}
            result |= {"installed": size, "plimsoll_installed": plimsoll_installed, "plimsoll": ours, "figures": theirs}
            results = page.with_result(results, result)
            if options.record:
                options.record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = page.page(results)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    for line in page.targets(results):
        print(f"  {line}")


if __name__ == "__main__":
    # Ends as Ctrl-C does: no server is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except Wrong as wrong:
        sys.exit(f"run.py: {wrong}")
    except KeyboardInterrupt:
        sys.exit("run.py: stopped")
