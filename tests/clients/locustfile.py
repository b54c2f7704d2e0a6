"""Locust's users: they ask the demo model digits, and look at every answer.

locust_load.py runs it. Where something wanted to leave this machine, the exit
status says so.
"""

import json
from pathlib import Path

from locust import FastHttpUser, HttpUser, between, events

import home

MODEL = Path(__file__).parents[2] / "models/digits"
REQUEST = (MODEL / "request.json").read_bytes()
LABEL = json.loads((MODEL / "reply.json").read_bytes())["predictions"][0]["label"]
ROW = ",".join(map(str, json.loads(REQUEST)["instances"][0]))

home.guard()


def ask(user):
    """In JSON, as an application would."""
    headers = {"Content-Type": "application/json"}
    with user.client.post("/invocations", data=REQUEST, headers=headers, name="json", catch_response=True) as reply:
        if reply.status_code != 200:
            reply.failure(f"status {reply.status_code}: {reply.text}")
        elif reply.json()["predictions"][0]["label"] != LABEL:
            reply.failure(f"another label: {reply.text}")


def ask_in_csv(user):
    """In CSV."""
    headers = {"Content-Type": "text/csv"}
    with user.client.post("/invocations", data=ROW, headers=headers, name="csv", catch_response=True) as reply:
        if reply.status_code != 200 or not reply.text.startswith(f"{LABEL},"):
            reply.failure(f"status {reply.status_code}: {reply.text}")


class Application(FastHttpUser):
    """Locust's fast client, its connections kept open."""

    weight = 3
    wait_time = between(0.001, 0.005)
    tasks = {ask: 3, ask_in_csv: 1}


class Script(HttpUser):
    """The same with `requests`."""

    weight = 1
    wait_time = between(0.001, 0.005)
    tasks = [ask]


@events.quitting.add_listener
def judge(environment, **_):
    """Nothing may have wanted to leave."""
    wanted = home.wanted()
    if wanted:
        print(f"it wanted to go to {wanted}")
        environment.process_exit_code = home.LEFT_HOME
