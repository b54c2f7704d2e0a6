"""Scrapes a server as the OpenTelemetry collector does, and reads the page with Prometheus' own parsers.

    scrape.py HOST PORT TIMES

One connection, kept open, with the headers of the collector's Prometheus
receiver, and those of scrapers that want the older text, or say nothing. Every
page must be what its Content-Type says, hold no metric twice, and have
histograms that agree with themselves. Prints one JSON object for each way of
asking: content type, bytes, bytes on the wire, the longest wait, and the
families with their types. Ends with status 1 and a sentence where a page is
not right.
"""

import gzip
import http.client
import json
import math
import sys
import time

from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser

COLLECTOR = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# How to ask, the type that must come, and whether it must come compressed.
WAYS = {
    "collector": (
        {"Accept": COLLECTOR, "Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": "10"},
        OPEN_METRICS,
        True,
    ),
    "text": ({"Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}, TEXT, False),
    "bare": ({}, TEXT, False),
}


def families(content_type, text):
    """The page's families, by the parser of its format."""
    if content_type == OPEN_METRICS:
        return list(open_parser.text_string_to_metric_families(text))
    return list(parser.text_string_to_metric_families(text))


def check_histogram(family):
    """Buckets rise, and the last one is the count."""
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
    count = [s.value for s in family.samples if s.name.endswith("_count")]
    edges, counts = zip(*buckets)
    if list(edges) != sorted(set(edges)) or list(counts) != sorted(counts):
        sys.exit(f"{family.name}: its buckets do not rise: {buckets}")
    if edges[-1] != math.inf or count != [counts[-1]]:
        sys.exit(f"{family.name}: the bucket +Inf has {counts[-1]}, the count is {count}")


def check(way, found):
    """Every family once, with a type and a help."""
    names = [family.name for family in found]
    if len(set(names)) != len(names):
        sys.exit(f"{way}: a family comes twice: {sorted(names)}")
    for family in found:
        if family.type == "unknown" or not family.documentation:
            sys.exit(f"{way}: {family.name} has no type or no help")
        if family.type == "histogram":
            check_histogram(family)


def scrape(connection, way):
    """One page: its text, what came over the wire, and the wait in milliseconds."""
    headers, content_type, packed = WAYS[way]
    begun = time.perf_counter()
    connection.request("GET", "/metrics", headers=headers)
    response = connection.getresponse()
    body = response.read()
    took_ms = (time.perf_counter() - begun) * 1000
    if response.status != 200 or response.will_close:
        sys.exit(f"{way}: status {response.status}, connection kept: {not response.will_close}")
    if response.headers["Content-Type"] != content_type:
        sys.exit(f"{way}: Content-Type {response.headers['Content-Type']}, expected {content_type}")
    if response.headers["Content-Encoding"] != ("gzip" if packed else None):
        sys.exit(f"{way}: Content-Encoding {response.headers['Content-Encoding']}")
    text = gzip.decompress(body) if packed else body
    return text.decode(), len(body), took_ms


def main(host, port, times):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.connect()
    socket = connection.sock
    for way in WAYS:
        longest_ms = 0.0
        for _ in range(times):
            text, wire, took_ms = scrape(connection, way)
            longest_ms = max(longest_ms, took_ms)
            found = families(WAYS[way][1], text)
            check(way, found)
        if connection.sock is not socket:
            sys.exit(f"{way}: the connection was not kept")
        row = {"way": way, "bytes": len(text.encode()), "wire": wire, "longest_ms": longest_ms}
        print(json.dumps(row | {"families": {family.name: family.type for family in found}}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
