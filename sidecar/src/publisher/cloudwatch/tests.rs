//! Tests of the way to CloudWatch against a small HTTP server on loopback.

use std::time::Instant;

use aws_sdk_cloudwatch::config::Credentials;
use scaling::catalogue::Metric;
use scaling::window::Series;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// How the server answers each request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16, &'static str),
    Never,
}

/// Serves `answer` to everybody; gives its address and the requests that came.
async fn server(answer: Answer) -> (String, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while !whole(&bytes) {
                    if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let _ = requests.send(bytes);
                let Answer::Status(status, code) = answer else {
                    return std::future::pending().await;
                };
                let name = if code.is_empty() {
                    String::new()
                } else {
                    format!("x-amzn-query-error: {code};Sender\r\n")
                };
                // An empty CBOR map is PutMetricData's whole answer.
                let head = format!(
                    "HTTP/1.1 {status} x\r\nsmithy-protocol: rpc-v2-cbor\r\n{name}\
                     content-type: application/cbor\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(b"\xbf\xff").await;
            });
        }
    });
    (address, received)
}

/// True if head and body have come.
fn whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    bytes.len() >= end + 4 + length.unwrap_or(0)
}

async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await
}

fn period() -> Period {
    let series = vec![(Metric::Invocations, Series::Counter(7))];
    Period {
        start_secs: 1_700_000_000,
        period_secs: 10,
        series,
    }
}

fn cloudwatch() -> CloudWatch {
    CloudWatch::new(
        "Plimsoll",
        &[("EndpointName".to_owned(), "ep-1".to_owned())],
        None,
    )
}

async fn put(endpoint: &str, call: Duration) -> Result<(), Refusal> {
    let limits = Limits {
        connect: Duration::from_secs(5),
        call,
    };
    cloudwatch()
        .with_config(config(endpoint).await, limits)
        .put(&period(), &mut Progress::default())
        .await
}

const CALL: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_datums_arrive_as_cbor_on_the_put_metric_data_path() {
    let (endpoint, mut requests) = server(Answer::Status(200, "")).await;
    assert_eq!(put(&endpoint, CALL).await, Ok(()));
    let request = requests.recv().await.unwrap();
    let text = String::from_utf8_lossy(&request);
    let path = "POST /service/GraniteServiceVersion20100801/operation/PutMetricData ";
    assert!(text.starts_with(path), "{text}");
    for part in [
        "smithy-protocol: rpc-v2-cbor",
        "Invocations",
        "EndpointName",
        "ep-1",
        "Plimsoll",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn answers_become_refusals_that_say_what_to_do() {
    for (status, may_pass) in [
        (500, false),
        (503, false),
        (404, true),
        (403, false),
        (400, false),
    ] {
        let (endpoint, _requests) = server(Answer::Status(status, "")).await;
        let refusal = put(&endpoint, CALL).await.unwrap_err();
        assert_eq!(refusal.may_pass(), may_pass, "{status}: {refusal}");
    }
}

#[tokio::test]
async fn each_call_is_tried_once() {
    let (endpoint, mut requests) = server(Answer::Status(500, "")).await;
    assert!(put(&endpoint, CALL).await.is_err());
    assert!(requests.recv().await.is_some());
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_time_limit_only() {
    let (endpoint, _requests) = server(Answer::Never).await;
    let begin = Instant::now();
    let refusal = put(&endpoint, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(refusal.is_lost(), "the request had left: {refusal:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refusal = put(&endpoint, CALL).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Unreachable(_)), "{refusal:?}");
}

#[tokio::test]
async fn a_missing_region_and_missing_credentials_are_named() {
    let limits = Limits::default();
    let mut none = cloudwatch().with_config(SdkConfig::builder().build(), limits);
    assert_eq!(
        none.put(&period(), &mut Progress::default()).await,
        Err(Refusal::NoRegion)
    );
    let region = SdkConfig::builder()
        .region(Region::new("eu-central-1"))
        .build();
    let refusal = cloudwatch()
        .with_config(region, limits)
        .put(&period(), &mut Progress::default())
        .await
        .unwrap_err();
    assert!(matches!(refusal, Refusal::NoCredentials(_)), "{refusal:?}");
}

#[tokio::test]
async fn a_panic_inside_costs_one_attempt() {
    let work = async { panic!("a fault in foreign code") };
    let result: Result<(), Refusal> = guarded(work).await;
    assert!(matches!(result, Err(Refusal::Internal(_))));
}
