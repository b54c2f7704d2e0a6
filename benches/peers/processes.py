"""A server under measure with all its processes: their CPU time, the memory that they hold, their end."""

import os
import signal
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# Of the caller's environment nothing that would change a server is passed on.
FOREIGN = ("PLIMSOLL_", "SAGEMAKER_", "AWS_", "ORT_", "RUST_", "PYTHON", "MMS_", "BENTOML_", "MLSERVER_", "JAVA_TOOL_")


def read_stat(pid):
    """Parent, session and CPU time in ticks, that of ended children included; None where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything.
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        return None
    return int(fields[1]), int(fields[3]), sum(map(int, fields[11:15]))


def read_resident(pid, files):
    """Bytes of memory that is the process's own; what it maps of files goes into `files`, each part once."""
    own = 0
    part = None
    try:
        text = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            # addresses, permissions, offset, device, inode, path
            addresses, offset, device, inode = words[0], words[2], words[3], words[4]
            low, high = (int(address, 16) for address in addresses.split("-"))
            part = (device, inode, offset, high - low)
        elif words[0] == "Rss:":
            resident = int(words[1]) * 1024
        elif words[0] == "Pss:":
            proportional = int(words[1]) * 1024
        elif words[0] == "Anonymous:":
            # Pages of a file that were written to are the process's own; others are the file's.
            anonymous = int(words[1]) * 1024
            if part[1] == "0":
                own += proportional
            else:
                own += anonymous
                files[part] = max(files.get(part, 0), resident - anonymous)
    return own


class Server:
    """A server that was started: one process and whatever it started."""

    def __init__(self, name, command, environment, core, log):
        self.name = name
        self.log = log
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                env=kept | {key: str(value) for key, value in environment.items()},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    def members(self):
        """The processes of its session and their children, wherever those have gone: CPU ticks by id."""
        stats = {int(entry): read_stat(entry) for entry in os.listdir("/proc") if entry.isdigit()}
        stats = {pid: stat for pid, stat in stats.items() if stat is not None}
        sessions, found = {self.process.pid}, {}
        grown = True
        while grown:
            grown = False
            for pid, (parent, session, ticks) in stats.items():
                if pid not in found and (session in sessions or parent in found):
                    found[pid] = ticks
                    sessions.add(session)
                    grown = True
        return found

    def cpu_seconds(self):
        """CPU time of all its processes so far."""
        return sum(self.members().values()) / TICKS

    def resident_bytes(self):
        """Memory that its processes hold; what they share is counted once."""
        files = {}
        own = sum(read_resident(pid, files) for pid in self.members())
        return own + sum(files.values())

    def ended(self):
        return self.process.poll() is not None

    def said(self):
        """The end of what it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def signal(self, number):
        """Sends a signal to all its processes; how many there were."""
        members = self.members()
        for pid in members:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return len(members)

    def pause(self):
        """Holds it, so that it takes nothing of the core that it shares."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """Returns when none of its processes is left."""
        while self.signal(signal.SIGKILL):
            self.process.poll()
            time.sleep(0.02)
        self.process.wait()
