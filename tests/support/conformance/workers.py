"""Helper processes that may crash or hang: a name goes in, a verdict comes out.

A worker reads names, a line each, and prints a line of JSON for each. It ends
when its standard input closes, so that none outlives this process.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque

# Slower than this is a hang.
LIMIT_SECONDS = 240


def serve(verdict):
    """The worker's side."""
    # What libraries print must not get between the verdicts.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(verdict(line.rstrip("\n"))), file=out, flush=True)


def run(names, jobs, chore):
    """The verdict of each name, by `jobs` workers that are this script with other arguments.

    A name that its worker does not survive gets a text in place of a verdict.
    """
    command = [sys.executable, sys.argv[0], *chore]
    waiting, verdicts, lock = deque(names), {}, threading.Lock()

    def feed():
        worker = None
        while True:
            try:
                name = waiting.popleft()
            except IndexError:
                break
            worker = worker or Worker(command)
            said = worker.ask(name)
            if isinstance(said, str):
                worker = None
            with lock:
                verdicts[name] = said
                progress(len(verdicts), len(names))
        if worker:
            worker.end()

    threads = [threading.Thread(target=feed) for _ in range(max(1, min(jobs, len(names))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: verdicts[name] for name in names}


class Worker:
    def __init__(self, command):
        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints, text=True
        )

    def ask(self, name):
        """The verdict, or a text that says how the worker ended over it."""
        hung = threading.Event()

        def give_up():
            hung.set()
            self.process.kill()

        timer = threading.Timer(LIMIT_SECONDS, give_up)
        timer.start()
        try:
            print(name, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        timer.cancel()
        if line:
            return json.loads(line)
        status = self.process.wait()
        if hung.is_set():
            return f"hangs for {LIMIT_SECONDS} s"
        end = f"crashes with signal {-status}" if status < 0 else f"ends with status {status}"
        return f"{end}: {self.last_words()}"

    def end(self):
        self.process.stdin.close()
        self.process.wait()

    def last_words(self):
        self.complaints.seek(0)
        lines = self.complaints.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def progress(done, total):
    if sys.stderr.isatty() and (done % 20 == 0 or done == total):
        end = "\n" if done == total else ""
        print(f"\r  {done} of {total} cases", end=end, file=sys.stderr, flush=True)
