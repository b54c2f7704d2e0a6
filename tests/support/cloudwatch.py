"""A stand-in for Amazon CloudWatch and Application Auto Scaling on loopback, for tests and the demo.

What it is: one process that runs moto's CloudWatch and moto's Application Auto
Scaling (the `moto` package's own server application). Every operation of
CloudWatch's that comes in CBOR is translated (cbor_json.py); JSON and Query go
to moto as they are. Three things stand in front of PutMetricData:

* a translation. The AWS SDK for Rust sends PutMetricData as Smithy RPC v2
  CBOR, which moto does not speak. Such a call is decoded and handed to moto
  as AWS JSON 1.0; the answer goes back as CBOR.
* AWS's documented limits, which moto does not hold (put_metric_limits.py).
  A call that breaks one is refused with an AWS-shaped error naming the rule.
* faults on request, to see how a publisher behaves when AWS does not.

What it is not: AWS. Signatures are not verified, permissions do not exist,
nothing is stored after the process ends. moto has no percentiles (check those
on the Values and Counts of `/_captured`), and where AWS matches dimensions
exactly, it also counts data that carry further ones. It evaluates no alarm and
no policy, and has no scaling activities.

Besides CloudWatch itself:

* GET /_captured: `{"calls": [...], "refused": [...], "faults": n, "operations":
  [...]}`. The last are the names of all operations but PutMetricData, in their
  order, refused ones included. A call of PutMetricData has
  `received` (epoch seconds), `region`, `protocol` ("rpc-v2-cbor" or "json"),
  `gzip`, `body_bytes` (as sent), `decoded_bytes`, `user_agent`, `namespace`
  and `data`: the datums with AWS's member names, `Timestamp` in epoch seconds.
  A refused one has `code` and `message`.
* POST /_fault `{"mode": M, "seconds": S, "operation": O}`: what an operation,
  PutMetricData if not given, does from now on. `ok`; `500`; `throttle`;
  `denied`; `invalid`; `expired` (the credentials); `skewed` (the clock);
  `hang` (holds the call for S seconds, 3600 if not given, then drops the
  connection); `slow` (waits S seconds, 1 if not given, then serves it). A
  change of mode frees the calls that wait.
* POST /_answer `{"operation": O, "answer": {...}}`: what an operation that moto
  lacks answers from now on.

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

from cbor_json import as_cbor, as_json
from put_metric_limits import BrokenRule, check_call

SERVICE = "GraniteServiceVersion20100801"
CBOR_ROUTE = re.compile(rf"^/service/{SERVICE}/operation/(\w+)$")
PUT = "PutMetricData"

# mode -> (HTTP status, error code, message)
ERRORS = {
    "500": (500, "InternalServiceFault", "the service stand-in was told to fail"),
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
    "denied": (403, "AccessDeniedException", "the caller may not perform this operation"),
    "invalid": (400, "ValidationException", "the service stand-in was told to refuse"),
    "expired": (400, "ExpiredTokenException", "The security token included in the request is expired"),
    "skewed": (403, "InvalidSignatureException", "Signature expired: 20260701T000000Z is now earlier than now"),
}
MODES = {"ok", "hang", "slow", *ERRORS}
# What moto lacks, and would answer with a page of its own source.
LACKING = {"DescribeScalingActivities"}


class StandIn:
    """The WSGI application: PutMetricData by the rules above, the rest to moto, translated where need be."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.calls = []
        self.refused = []
        self.faults = 0
        self.operations = []
        self.answers = {}
        self.modes = {}
        self.mode_changed = threading.Event()

    def __call__(self, environ, start_response):
        request = Request(environ)
        if request.path == "/_captured":
            response = self.captured()
        elif request.path == "/_fault":
            response = self.set_fault(request)
        elif request.path == "/_answer":
            response = self.set_answer(request)
        elif operation_of(request) == PUT:
            response = self.put(request)
        else:
            response = self.other(operation_of(request), request) or self.moto
        return response(environ, start_response)

    def captured(self):
        with self.lock:
            body = {
                "calls": self.calls, "refused": self.refused, "faults": self.faults, "operations": self.operations,
            }  # fmt: skip
            return Response(json.dumps(body), content_type="application/json")

    def set_fault(self, request):
        wish = request.get_json(force=True)
        mode = str(wish.get("mode"))
        if mode not in MODES:
            return Response(f"mode must be one of {sorted(MODES)}, found {mode!r}\n", status=400)
        seconds = float(wish.get("seconds", 3600 if mode == "hang" else 1))
        with self.lock:
            self.modes[wish.get("operation", PUT)] = (mode, seconds)
            self.mode_changed.set()
            self.mode_changed = threading.Event()
        return Response(f"{mode}\n")

    def set_answer(self, request):
        wish = request.get_json(force=True)
        with self.lock:
            self.answers[wish["operation"]] = wish["answer"]
        return Response("ok\n")

    def fault(self, operation, request, reply):
        """The answer that the operation was told to give; none where it is to be served."""
        with self.lock:
            (mode, seconds), mode_changed = self.modes.get(operation, ("ok", 0.0)), self.mode_changed
            self.faults += mode != "ok"
        if mode in ("hang", "slow"):
            mode_changed.wait(seconds)
        if mode == "hang":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response(status=500)
        return reply.error(*ERRORS[mode]) if mode in ERRORS else None

    def put(self, request):
        is_cbor = bool(CBOR_ROUTE.match(request.path))
        reply = CborReply() if is_cbor else JsonReply()
        told = self.fault(PUT, request, reply)
        if told:
            return told
        try:
            call, record = decode(request, is_cbor)
            check_call(call, record["body_bytes"])
        except BrokenRule as broken:
            with self.lock:
                self.refused.append({"code": broken.code, "message": broken.message})
            return reply.error(400, broken.code, broken.message)
        answer = self.hand_on(PUT, call, request)
        if answer.status_code != 200:
            return reply.error(answer.status_code, "moto", answer.get_data(as_text=True))
        with self.lock:
            self.calls.append(record)
        return reply.done()

    def other(self, operation, request):
        """The answer to any other operation; none where moto is to give it as it is."""
        if operation is None:
            return None
        is_cbor = bool(CBOR_ROUTE.match(request.path))
        reply = CborReply() if is_cbor else JsonReply()
        with self.lock:
            self.operations.append(operation)
            answer = self.answers.get(operation)
        told = self.fault(operation, request, reply)
        if told:
            return told
        if answer is not None:
            return reply.answer(operation, answer)
        if operation in LACKING:
            return reply.error(400, "UnknownOperationException", f"moto has no {operation}")
        if not is_cbor:
            return None
        try:
            call = json.loads(json.dumps(decoded(request, True)[0], default=epoch_seconds))
        except BrokenRule as broken:
            return reply.error(400, broken.code, broken.message)
        moto = self.hand_on(operation, call, request)
        found = as_json(moto.get_data(as_text=True))
        if moto.status_code != 200:
            code = str(found.get("__type", "InternalFailure")).rpartition("#")[2]
            return reply.error(moto.status_code, code, found.get("message") or found.get("Message") or "moto failed")
        return reply.answer(operation, found)

    def hand_on(self, operation, call, request):
        """Gives the call to moto as AWS JSON 1.0 and returns moto's answer."""
        headers = {
            "X-Amz-Target": f"{SERVICE}.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": request.headers.get("Authorization", ""),
        }
        return Client(self.moto).post(
            "/", data=json.dumps(call, default=epoch_seconds), headers=headers, base_url=request.host_url
        )


def operation_of(request):
    """The operation that is asked for; none where it is not said in a header or in the path."""
    route = CBOR_ROUTE.match(request.path)
    if route:
        return route.group(1)
    return request.headers.get("X-Amz-Target", "").rpartition(".")[2] or None


def decoded(request, is_cbor):
    """The call as it is decoded, its bytes as they were sent and unpacked, and whether they were gzipped."""
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
    return call, sent, body, zipped


def decode(request, is_cbor):
    """The call as plain data with datetimes, and the record of it for /_captured."""
    call, sent, body, zipped = decoded(request, is_cbor)
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

    def answer(self, operation, answer):
        headers = {"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return Response(cbor2.dumps(as_cbor(operation, answer)), headers=headers)

    def error(self, status, code, message):
        body = cbor2.dumps({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
        headers = {"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return Response(body, status=status, headers=headers)


class JsonReply:
    """Answers in AWS JSON 1.0."""

    def done(self):
        return Response("{}", status=200, content_type="application/x-amz-json-1.0")

    def answer(self, operation, answer):
        return Response(json.dumps(answer), status=200, content_type="application/x-amz-json-1.1")

    def error(self, status, code, message):
        body = json.dumps({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
        return Response(body, status=status, content_type="application/x-amz-json-1.0")


class KeepAlive(WSGIRequestHandler):
    """Connections stay open between calls, as with AWS."""

    protocol_version = "HTTP/1.1"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
