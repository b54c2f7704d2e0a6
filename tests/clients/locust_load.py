"""Locust against a running server on the demo model digits: twenty users for some seconds.

Each answer is looked at by locustfile.py; here its counts are held against the
server's own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

from checks import Checks, expect
from home import LEFT_HOME

USERS = 20
LEAST_REQUESTS = 100
# A guard against a hang, for the slowest machine; benches measure.
MOST_MILLISECONDS = 5000
COUNTED = "plimsoll_invocations_total"


def counted(url):
    """Requests that the server has answered."""
    with urlopen(f"{url}/metrics", timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(f"{COUNTED} "):
                return int(float(line.split()[1]))
    raise AssertionError(f"no {COUNTED} on the page")


def run(url, seconds, folder):
    """Runs Locust; its exit status, what it said, and what it counted by name."""
    command = [
        sys.executable, "-m", "locust", "--locustfile", Path(__file__).parent / "locustfile.py", "--headless",
        "--host", url, "--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", f"{seconds}s",
        # Users finish what they began, so that both sides count the same.
        "--stop-timeout", "10", "--only-summary", "--json-file", folder / "run",
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    stats = folder / "run.json"
    rows = json.loads(stats.read_bytes()) if stats.exists() else []
    return done.returncode, done.stdout, {row["name"]: row for row in rows}


def percentile(row, share):
    """Milliseconds within which this share of the requests was answered."""
    times = sorted((float(time), count) for time, count in row["response_times"].items())
    left = share * row["num_requests"]
    for time, count in times:
        left -= count
        if left <= 0:
            return time
    raise AssertionError(f"{row['response_times']!r} are less than {row['num_requests']} requests")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digits", required=True, metavar="URL")
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    checks = Checks()
    before = counted(arguments.digits)
    with tempfile.TemporaryDirectory() as folder:
        status, said, rows = run(arguments.digits, arguments.seconds, Path(folder))
    after = counted(arguments.digits)
    with checks("locust_ends_well"):
        expect(status, 0, f"the exit status ({said[-1500:]})")
    with checks("every_answer_was_right"):
        expect({name: row["num_failures"] for name, row in rows.items()}, {"json": 0, "csv": 0}, "the failures")
    with checks("the_server_counts_what_locust_counts"):
        requests = sum(row["num_requests"] for row in rows.values())
        expect(after - before, requests, "what the server counted")
        expect(requests >= LEAST_REQUESTS, True, f"{requests} requests at least {LEAST_REQUESTS}")
    with checks("no_request_waits"):
        for name, row in rows.items():
            slow = percentile(row, 0.99)
            expect(slow <= MOST_MILLISECONDS, True, f"{slow} ms for 99 of 100 ({name}) at most {MOST_MILLISECONDS}")
    with checks("nothing_phones_home"):
        expect(status == LEFT_HOME, False, f"whether it wanted to leave ({said[-500:]})")
    checks.finish()


if __name__ == "__main__":
    main()
