"""What stands between a caller of SageMaker's runtime API and the container.

boto3's `sagemaker-runtime` client, pointed here, finds its paths:

* POST /endpoints/NAME/invocations becomes POST /invocations. As the platform
  does, only the headers that the API defines go on, and of the reply only its
  type and the custom attributes come back. A 4xx or 5xx becomes ModelError
  (424) with the container's own status and body.
* POST /endpoints/NAME/invocations-response-stream is answered as an event
  stream: a PayloadPart for each chunk that the container flushes, and, where
  its connection breaks, the exception ModelStreamError.

Which header is whose says the service model that botocore carries.
"""

import http.client
import json
import re
import struct
import threading
from binascii import crc32
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import botocore.session

ROUTE = re.compile(r"^/endpoints/([a-zA-Z0-9-]{1,63})/(invocations|invocations-response-stream)$")
OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# What the streaming call names differently, as it crosses the platform.
TO_CONTAINER = {"x-amzn-sagemaker-accept": "Accept"}
VARIANT = "AllTraffic"
# Longest text of the container's in an error (the API's own limit).
LONGEST_MESSAGE = 2048
TEXT_HEADER = 7


def request_headers(operation):
    """The headers that an operation defines, in lower case."""
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    members = model.operation_model(operation).input_shape.members.values()
    return {
        member.serialization["name"].lower() for member in members if member.serialization.get("location") == "header"
    }


def message(headers, payload):
    """One message of an event stream."""
    block = b""
    for name, value in headers.items():
        name, value = name.encode(), value.encode()
        block += struct.pack("!B", len(name)) + name + struct.pack("!BH", TEXT_HEADER, len(value)) + value
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    head = prelude + struct.pack("!I", crc32(prelude)) + block + payload
    return head + struct.pack("!I", crc32(head))


def payload_part(content):
    """The event that carries a part of the reply."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    return message(headers, content)


def broken_stream(reason):
    """The exception that ends a reply which was cut off."""
    headers = {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
    }
    return message(headers, json.dumps({"Message": reason, "ErrorCode": "StreamBroken"}).encode())


class Handler(BaseHTTPRequestHandler):
    """One connection of a caller's."""

    protocol_version = "HTTP/1.1"
    # A message and its headers leave together.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        route = ROUTE.match(urlsplit(self.path).path)
        if not route:
            self.answer(404, {"x-amzn-ErrorType": "UnknownOperationException"}, b"{}")
            return
        container = http.client.HTTPConnection(self.server.container, timeout=60)
        try:
            container.request("POST", "/invocations", body, self.onward(route.group(2)))
            reply = container.getresponse()
            if reply.status >= 400:
                self.model_error(reply.status, reply.read())
            elif route.group(2) == "invocations":
                self.answer(200, self.back(reply, "Content-Type"), reply.read())
            else:
                self.stream(reply)
        finally:
            container.close()

    def onward(self, route):
        """The headers that reach the container."""
        known = self.server.headers[route]
        names = {name.lower(): value for name, value in self.headers.items() if name.lower() in known}
        return {TO_CONTAINER.get(name, name): value for name, value in names.items()}

    def back(self, reply, content_type):
        """The headers that reach the caller."""
        found = {"x-Amzn-Invoked-Production-Variant": VARIANT}
        if reply.getheader("Content-Type"):
            found[content_type] = reply.getheader("Content-Type")
        attributes = "X-Amzn-SageMaker-Custom-Attributes"
        if reply.getheader(attributes):
            found[attributes] = reply.getheader(attributes)
        return found

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def model_error(self, status, body):
        """The container's refusal, as the caller of the API sees it."""
        said = body.decode("utf-8", "replace")[:LONGEST_MESSAGE]
        whose = "client" if status < 500 else "server"
        found = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if status < 500 else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": "",
            "Message": f'Received {whose} error ({status}) from primary with message "{said}".'[:LONGEST_MESSAGE],
            "OriginalMessage": said,
            "OriginalStatusCode": status,
        }
        headers = {"x-amzn-ErrorType": "ModelError", "Content-Type": "application/json"}
        self.answer(424, headers, json.dumps(found).encode())

    def stream(self, reply):
        """Each chunk as an event, as soon as it is there."""
        self.send_response(200)
        for name, value in self.back(reply, "X-Amzn-SageMaker-Content-Type").items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while part := reply.read1(1 << 20):
                self.chunk(payload_part(part))
        except (http.client.HTTPException, OSError) as error:
            self.chunk(broken_stream(f"the container's reply ended early: {type(error).__name__}"))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def chunk(self, content):
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


def start(container_url):
    """Starts a proxy in front of a container, in this process, and says where it is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.container = urlsplit(container_url).netloc
    server.headers = {route: request_headers(operation) for route, operation in OPERATIONS.items()}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
