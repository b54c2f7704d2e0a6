"""Reads the metrics of a namespace back through the CloudWatch API, as JSON.

Prints a list, sorted by metric name and dimensions: `metric`, `dimensions` (a
map), `unit`, `SampleCount`, `Sum`, `Minimum`, `Maximum`, `Average`, over the
last twelve hours. It asks list_metrics and get_metric_statistics, nothing else.
"""

import argparse
import json
import sys
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

STATISTICS = ["SampleCount", "Sum", "Minimum", "Maximum", "Average"]
DAY_SECONDS = 86_400


def read(client, namespace):
    """One row for each metric of `namespace`."""
    now = datetime.now(timezone.utc)
    rows = []
    for name, dimensions in metrics(client, namespace):
        answer = client.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
            StartTime=now - timedelta(hours=12),
            EndTime=now + timedelta(hours=2),
            # One period that holds the whole window: one data point.
            Period=DAY_SECONDS,
            Statistics=STATISTICS,
        )
        for point in answer["Datapoints"]:
            row = {"metric": name, "dimensions": dict(dimensions), "unit": point.get("Unit")}
            rows.append(row | {statistic: point[statistic] for statistic in STATISTICS})
    return rows


def metrics(client, namespace):
    """Name and dimensions of each metric, in order; moto may list one twice."""
    pages = client.get_paginator("list_metrics").paginate(Namespace=namespace)
    listed = [metric for page in pages for metric in page["Metrics"]]
    return sorted(
        {(m["MetricName"], tuple(sorted((d["Name"], d["Value"]) for d in m["Dimensions"]))) for m in listed}
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="for example http://127.0.0.1:5000")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--region", default="us-east-1")
    arguments = parser.parse_args()
    client = boto3.client(
        "cloudwatch",
        endpoint_url=arguments.endpoint,
        region_name=arguments.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    try:
        rows = read(client, arguments.namespace)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"cannot read {arguments.namespace} back from {arguments.endpoint}: {error}")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
