"""A stand-in for Amazon CloudWatch on loopback, for tests and the demo.

What it is: one process that runs moto's CloudWatch (the `moto` package's own
server application), with three things in front of PutMetricData:

* a translation. The AWS SDK for Rust sends PutMetricData as Smithy RPC v2
  CBOR, which moto does not speak. Such a call is decoded and handed to moto
  as AWS JSON 1.0; the answer goes back as CBOR.
* AWS's documented limits, which moto does not hold (put_metric_limits.py).
  A call that breaks one is refused with an AWS-shaped error naming the rule.
* faults on request, to see how a publisher behaves when AWS does not.

What it is not: AWS. Signatures are not verified, permissions do not exist,
nothing is stored after the process ends. moto has no percentiles (check those
on the Values and Counts of `/_captured`), and where AWS matches dimensions
exactly, it also counts data that carry further ones. Any other operation goes
to moto unchanged; of those, moto understands JSON and Query, not CBOR.

Besides CloudWatch itself:

* GET /_captured: `{"calls": [...], "refused": [...], "faults": n}`. A call has
  `received` (epoch seconds), `region`, `protocol` ("rpc-v2-cbor" or "json"),
  `gzip`, `body_bytes` (as sent), `decoded_bytes`, `user_agent`, `namespace`
  and `data`: the datums with AWS's member names, `Timestamp` in epoch seconds.
  A refused one has `code` and `message`.
* POST /_fault `{"mode": M, "seconds": S}`: what PutMetricData does from now
  on. `ok`; `500`; `throttle`; `denied`; `hang` (holds the call for S seconds,
  3600 if not given, then drops the connection); `slow` (waits S seconds, 1 if
  not given, then serves it). A change of mode frees the calls that wait.

Prints `listening on 127.0.0.1:PORT` once it answers.
"""

import argparse
import gzip
import json
import logging
import re
import socket
import sys
import threading
import time
from datetime import datetime, timezone

import cbor2
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from put_metric_limits import BrokenRule, check_call

SERVICE = "GraniteServiceVersion20100801"
CBOR_ROUTE = re.compile(rf"^/service/{SERVICE}/operation/(\w+)$")
TARGET = f"{SERVICE}.PutMetricData"

# mode -> (HTTP status, error code, message)
ERRORS = {
    "500": (500, "InternalServiceFault", "the service stand-in was told to fail"),
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
    "denied": (403, "AccessDeniedException", "the caller may not perform cloudwatch:PutMetricData"),
}
MODES = {"ok", "hang", "slow", *ERRORS}


class StandIn:
    """The WSGI application: PutMetricData by the rules above, the rest to moto."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.calls = []
        self.refused = []
        self.faults = 0
        self.mode = ("ok", 0.0)
        self.mode_changed = threading.Event()

    def __call__(self, environ, start_response):
        request = Request(environ)
        if request.path == "/_captured":
            response = self.captured()
        elif request.path == "/_fault":
            response = self.set_fault(request)
        elif CBOR_ROUTE.match(request.path) or request.headers.get("X-Amz-Target") == TARGET:
            response = self.put(request)
        else:
            return self.moto(environ, start_response)
        return response(environ, start_response)

    def captured(self):
        with self.lock:
            body = {"calls": self.calls, "refused": self.refused, "faults": self.faults}
            return Response(json.dumps(body), content_type="application/json")

    def set_fault(self, request):
        wish = request.get_json(force=True)
        mode = str(wish.get("mode"))
        if mode not in MODES:
            return Response(f"mode must be one of {sorted(MODES)}, found {mode!r}\n", status=400)
        seconds = float(wish.get("seconds", 3600 if mode == "hang" else 1))
        with self.lock:
            self.mode = (mode, seconds)
            self.mode_changed.set()
            self.mode_changed = threading.Event()
        return Response(f"{mode}\n")

    def put(self, request):
        with self.lock:
            (mode, seconds), mode_changed = self.mode, self.mode_changed
            self.faults += mode != "ok"
        route = CBOR_ROUTE.match(request.path)
        reply = CborReply() if route else JsonReply()
        if mode in ("hang", "slow"):
            mode_changed.wait(seconds)
        if mode == "hang":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response(status=500)
        if mode in ERRORS:
            return reply.error(*ERRORS[mode])
        try:
            if route and route.group(1) != "PutMetricData":
                raise BrokenRule("UnknownOperationException", f"{route.group(1)} is not translated from CBOR")
            call, record = decode(request, bool(route))
            check_call(call, record["body_bytes"])
        except BrokenRule as broken:
            with self.lock:
                self.refused.append({"code": broken.code, "message": broken.message})
            return reply.error(400, broken.code, broken.message)
        answer = self.hand_on(call, request)
        if answer.status_code != 200:
            return reply.error(answer.status_code, "moto", answer.get_data(as_text=True))
        with self.lock:
            self.calls.append(record)
        return reply.done()

    def hand_on(self, call, request):
        """Gives the call to moto as AWS JSON 1.0 and returns moto's answer."""
        headers = {
            "X-Amz-Target": TARGET,
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": request.headers.get("Authorization", ""),
        }
        return Client(self.moto).post(
            "/", data=json.dumps(call, default=epoch_seconds), headers=headers, base_url=request.host_url
        )


def decode(request, is_cbor):
    """The call as plain data with datetimes, and the record of it for /_captured."""
    sent = request.get_data()
    zipped = request.headers.get("Content-Encoding", "").lower() == "gzip"
    if is_cbor and request.headers.get("Smithy-Protocol") != "rpc-v2-cbor":
        raise BrokenRule("SerializationException", "the header Smithy-Protocol must be rpc-v2-cbor")
    try:
        body = gzip.decompress(sent) if zipped else sent
        call = cbor2.loads(body) if is_cbor else json.loads(body)
    except (OSError, EOFError, ValueError, cbor2.CBORDecodeError) as error:
        raise BrokenRule("SerializationException", f"the body cannot be decoded: {error}") from error
    if not isinstance(call, dict):
        raise BrokenRule("SerializationException", f"the body must be a map, found {type(call).__name__}")
    data = call.get("MetricData") or []
    if not isinstance(data, list) or not all(isinstance(datum, dict) for datum in data):
        raise BrokenRule("SerializationException", "MetricData must be a list of maps")
    for datum in [] if is_cbor else data:
        if isinstance(datum.get("Timestamp"), (int, float)):
            datum["Timestamp"] = datetime.fromtimestamp(datum["Timestamp"], timezone.utc)
    record = {
        "received": time.time(),
        "region": region_of(request.headers.get("Authorization", "")),
        "protocol": "rpc-v2-cbor" if is_cbor else "json",
        "gzip": zipped,
        "body_bytes": len(sent),
        "decoded_bytes": len(body),
        "user_agent": request.headers.get("User-Agent", ""),
        "namespace": call.get("Namespace"),
        "data": json.loads(json.dumps(data, default=epoch_seconds)),
    }
    return call, record


def region_of(authorization):
    """The region in a SigV4 credential scope: Credential=KEY/DATE/REGION/SERVICE/…"""
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", authorization)
    return scope.group(1) if scope else None


def epoch_seconds(value):
    if isinstance(value, datetime):
        return value.timestamp()
    raise BrokenRule("SerializationException", f"a value of type {type(value).__name__} has no place in a call")


class CborReply:
    """Answers in Smithy RPC v2 CBOR."""

    def done(self):
        response = Response(status=200, headers={"Smithy-Protocol": "rpc-v2-cbor"})
        response.headers.remove("Content-Type")  # there is no body
        return response

    def error(self, status, code, message):
        body = cbor2.dumps({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
        headers = {"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return Response(body, status=status, headers=headers)


class JsonReply:
    """Answers in AWS JSON 1.0."""

    def done(self):
        return Response("{}", status=200, content_type="application/x-amz-json-1.0")

    def error(self, status, code, message):
        body = json.dumps({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
        return Response(body, status=status, content_type="application/x-amz-json-1.0")


class KeepAlive(WSGIRequestHandler):
    """Connections stay open between calls, as with AWS."""

    protocol_version = "HTTP/1.1"


def main():
    parser = argparse.ArgumentParser(description="A stand-in for Amazon CloudWatch on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="leave when the process that started this one is gone"
    )
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", arguments.port, StandIn(), threaded=True, request_handler=KeepAlive)
    server.daemon_threads = True
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        if arguments.until_stdin_closes:
            sys.stdin.buffer.read()
        else:
            threading.Event().wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
