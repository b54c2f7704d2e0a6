//! What CloudWatch, the credentials' endpoint, stdout and the GPU driver may do wrong: serving goes
//! on, the page says what happened, memory is bounded, and metrics leave again once it is over.
//!
//! The servers of one test run beside each other: a publishing period is ten seconds.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant, SystemTime};

use crate::support::faulty::{Arrival, Fault, Faulty};
use crate::support::nvml::StandIn;
use crate::support::published::{emf_events, sum};
use crate::support::server::Start;
use crate::support::{metric, Server};

const PERIOD: Duration = Duration::from_secs(10);
/// From the first good ping to the first attempt: a period, the jitter of a tenth, and what a busy
/// machine adds.
const FIRST_ATTEMPT: Duration = Duration::from_secs(16);
/// More than a period, an attempt of eight seconds and a wait.
const SEEN: Duration = Duration::from_secs(30);
/// Two periods are over, wherever the first one began.
const TWO_PERIODS: Duration = Duration::from_secs(22);
/// What a fault may add to the memory of a server that has served already.
const GROWTH: u64 = 32 << 20;
/// Requests before publishing begins.
const BEFORE_PING: f64 = 50.0;
/// Two and a half seconds for late requests, four for the last metrics, and a busy machine.
const LEAVING: Duration = Duration::from_secs(12);

const REFUSALS: [(&str, Fault); 5] = [
    ("400", Fault::Answer(400, "InvalidParameterValue")),
    ("403", Fault::Answer(403, "AccessDenied")),
    ("413", Fault::Answer(413, "RequestEntityTooLarge")),
    ("429", Fault::Answer(429, "Throttling")),
    ("500", Fault::Answer(500, "InternalServiceFault")),
];
const SILENCES: [(&str, Fault); 4] = [
    ("hangs at once", Fault::HangAtOnce),
    ("hangs after reading", Fault::HangAfterReading),
    ("drips", Fault::Drip),
    ("closes mid-reply", Fault::CloseMidReply),
];

fn in_a_region() -> Start {
    Server::on("sum4")
        .of_an_endpoint()
        .env("AWS_REGION", "eu-west-1")
}

fn on(url: &str, route: &str) -> Start {
    in_a_region()
        .env("AWS_ENDPOINT_URL_CLOUDWATCH", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("PLIMSOLL_METRICS_ROUTE", route)
}

fn page(server: &Server) -> String {
    let reply = server.get("/metrics");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

fn count(page: &str, name: &str) -> f64 {
    metric(page, &format!("plimsoll_sidecar_{name}_total"))
}

/// Serves until `done` gives something. No request may fail, or wait for a publisher, whose limits
/// are seconds.
fn serve_until<T>(
    server: &Server,
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10", "{what}");
        assert_eq!(server.get("/ping").status, 200, "{what}");
        let took = asked.elapsed();
        assert!(took < Duration::from_millis(1500), "{what}: {took:?}");
        if let Some(done) = done() {
            return done;
        }
        assert!(
            begun.elapsed() < limit,
            "{what}: not within {limit:?}\n{}\n{}",
            page(server),
            server.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A server that has served, and the most memory that it had until its publishing begins.
fn ready(start: Start) -> (Server, u64) {
    let server = start.ready();
    for _ in 0..BEFORE_PING as u32 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    }
    let memory = server.peak_memory();
    assert_eq!(server.get("/ping").status, 200);
    (server, memory)
}

fn assert_bounded(server: &Server, memory: u64, what: &str) {
    let peak = server.peak_memory();
    assert!(
        peak < memory + GROWTH,
        "{what}: {peak} bytes, {memory} before publishing"
    );
}

fn leave_in_time(server: &mut Server, what: &str) {
    let told = Instant::now();
    server.signal("TERM");
    let status = server.wait(LEAVING);
    assert_eq!(status.code(), Some(0), "{what}: {}", server.log());
    assert!(told.elapsed() < LEAVING);
}

/// Waits for a request that was served after `since`.
fn recovers(server: &Server, cloudwatch: &Faulty, since: Instant, what: &str) {
    serve_until(server, what, 2 * PERIOD, || {
        let arrivals = cloudwatch.arrivals();
        let served = |arrival: &Arrival| arrival.fault == Fault::None && arrival.at >= since;
        arrivals.iter().any(served).then_some(())
    });
    serve_until(server, what, Duration::from_secs(2), || {
        (count(&page(server), "periods_published") >= 1.0).then_some(())
    });
}

/// One fault from the first period on, an end of it, and another server that is told to leave
/// while it lasts.
fn fault_and_recovery(what: &str, fault: Fault) {
    let cloudwatch = Faulty::cloudwatch(fault);
    let (mut server, memory) = ready(on(&cloudwatch.url(), "cloudwatch"));
    let (mut leaver, _) = ready(on(&cloudwatch.url(), "cloudwatch"));
    let seen = serve_until(&server, what, SEEN, || {
        let page = page(&server);
        (count(&page, "publish_failures") >= 1.0).then_some(page)
    });
    assert_eq!(count(&seen, "periods_published"), 0.0, "{what}");
    // What CloudWatch calls bad data is not sent again; all else is kept and tried again.
    let is_final = matches!(fault, Fault::Answer(400 | 413, _));
    let dropped = if is_final { 1.0 } else { 0.0 };
    assert_eq!(count(&seen, "periods_dropped"), dropped, "{what}: {seen}");
    assert!(
        seen.contains("plimsoll_sidecar_route_info{route=\"pending\"} 1"),
        "{what}"
    );
    leave_in_time(&mut leaver, what);
    assert_bounded(&server, memory, what);

    let over = Instant::now();
    cloudwatch.turn(Fault::None);
    recovers(&server, &cloudwatch, over, what);
    let after = page(&server);
    assert_eq!(
        count(&after, "periods_dropped"),
        dropped,
        "{what}: nothing else is lost"
    );
    assert!(
        after.contains("plimsoll_sidecar_route_info{route=\"cloudwatch\"} 1"),
        "{what}"
    );
    let log = server.log();
    // Whatever had begun to leave may have arrived.
    let may_have_arrived = !matches!(fault, Fault::Answer(status, _) if status != 500);
    let unknown = count(&after, "periods_unknown");
    assert_eq!(unknown >= 1.0, may_have_arrived, "{what}: {after}");
    let said = if is_final {
        "a period of metrics is lost"
    } else if may_have_arrived {
        "may or may not have arrived"
    } else {
        "metrics cannot be published"
    };
    // A connection that hung is closed at the end of the fault, which is news of its own.
    let most = if matches!(fault, Fault::Answer(..)) {
        1
    } else {
        2
    };
    let mut lines: Vec<&str> = log
        .lines()
        .filter_map(|line| Some(line.split_once(said)?.1))
        .collect();
    assert!((1..=most).contains(&lines.len()), "{what}: {log}");
    lines.dedup();
    assert_eq!(
        lines.len(),
        log.matches(said).count(),
        "{what}: nothing is said twice: {log}"
    );
    assert_bounded(&server, memory, what);
    leave_in_time(&mut server, what);
}

/// Runs each beside the others; all end before one that failed is reported.
fn side_by_side(cases: &[(&str, Fault)], case: impl Fn(&str, Fault) + Sync) {
    std::thread::scope(|scope| {
        for (what, fault) in cases {
            scope.spawn(|| case(what, *fault));
        }
    });
}

#[test]
fn refusals_of_cloudwatch_cost_periods_alone_and_it_is_used_again() {
    side_by_side(&REFUSALS, fault_and_recovery);
}

#[test]
fn a_cloudwatch_that_hangs_drips_or_closes_costs_nothing_once_it_is_well() {
    side_by_side(&SILENCES, fault_and_recovery);
}

/// The route `auto` at a CloudWatch that cannot be used: stdout takes over.
fn falls_back(start: Start, what: &str, is_attempt: bool) {
    let (mut server, memory) = ready(start);
    let seen = serve_until(&server, what, SEEN + PERIOD, || {
        let page = page(&server);
        (count(&page, "periods_published") >= 2.0).then_some(page)
    });
    assert!(
        seen.contains("plimsoll_sidecar_route_info{route=\"emf\"} 1"),
        "{what}: {seen}"
    );
    // One attempt was enough; the next comes after half a minute. Without credentials there is none.
    let failures = count(&seen, "publish_failures");
    let expected = if is_attempt { 1.0..=2.0 } else { 0.0..=0.0 };
    assert!(expected.contains(&failures), "{what}: {failures}");
    assert_eq!(count(&seen, "periods_dropped"), 0.0, "{what}");
    assert_bounded(&server, memory, what);
    leave_in_time(&mut server, what);
    server.join_readers();
    let written = sum(&emf_events(&server), "Invocations");
    // Publishing begins at the first good ping.
    let counted = metric(&seen, "plimsoll_invocations_total") - BEFORE_PING;
    // A period whose answer was lost leaves by no route again.
    let is_whole = count(&seen, "periods_unknown") == 0.0;
    assert!(
        written >= if is_whole { counted } else { 1.0 },
        "{what}: {written} on stdout, {counted} on the page"
    );
}

#[test]
fn by_itself_it_takes_stdout_where_cloudwatch_cannot_be_used() {
    let failing = Faulty::cloudwatch(Fault::Answer(500, "InternalServiceFault"));
    let refusing = Faulty::cloudwatch(Fault::Answer(400, "InvalidParameterValue"));
    let silent = Faulty::cloudwatch(Fault::HangAfterReading);
    let well = Faulty::cloudwatch(Fault::None);
    let slow = Faulty::credentials(Fault::HangAfterReading, Duration::from_secs(900));
    let without_keys = |credentials: &str| {
        in_a_region()
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", &well.url())
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| falls_back(on(&failing.url(), "auto"), "failing", true));
        scope.spawn(|| falls_back(on(&refusing.url(), "auto"), "refusing", true));
        scope.spawn(|| falls_back(on(&silent.url(), "auto"), "silent", true));
        scope.spawn(|| {
            falls_back(
                on("http://cloudwatch.invalid:1/", "auto"),
                "unresolvable",
                true,
            )
        });
        scope.spawn(|| {
            falls_back(
                without_keys("http://127.0.0.1:1/"),
                "credentials absent",
                false,
            )
        });
        scope.spawn(|| {
            let url = format!("{}/credentials", slow.url());
            falls_back(without_keys(&url), "credentials slow", false);
        });
    });
    assert!(well.arrivals().is_empty(), "nothing is sent unsigned");
    assert!(!slow.arrivals().is_empty());
}

#[test]
fn a_clock_that_differs_from_cloudwatchs_is_told_and_costs_nothing_else() {
    let ahead = Duration::from_secs(600);
    let cloudwatch = Faulty::cloudwatch_with(Fault::None, move || {
        let date = httpdate::fmt_http_date(SystemTime::now() + ahead);
        format!("date: {date}\r\n")
    });
    let (server, _) = ready(on(&cloudwatch.url(), "cloudwatch"));
    let seen = serve_until(&server, "clock", SEEN, || {
        let page = page(&server);
        (count(&page, "periods_published") >= 1.0).then_some(page)
    });
    let skew = metric(&seen, "plimsoll_sidecar_clock_skew_seconds");
    assert!((skew - 600.0).abs() <= 3.0, "{skew}");
    assert_eq!(count(&seen, "publish_failures"), 0.0);
    let said = "s behind CloudWatch's: metrics lie in the wrong period";
    assert_eq!(server.log().matches(said).count(), 1, "{}", server.log());
}

#[test]
fn a_name_that_does_not_resolve_is_tried_for_ever_and_does_not_hold_the_end() {
    let (mut server, memory) = ready(on("http://cloudwatch.invalid:1/", "cloudwatch"));
    let seen = serve_until(&server, "unresolvable", SEEN, || {
        let page = page(&server);
        (count(&page, "publish_failures") >= 2.0).then_some(page)
    });
    assert_eq!(count(&seen, "periods_published"), 0.0);
    assert!(
        server.log().contains("CloudWatch could not be reached"),
        "{}",
        server.log()
    );
    assert_bounded(&server, memory, "unresolvable");
    leave_in_time(&mut server, "unresolvable");
}

#[test]
fn credentials_that_expire_are_fetched_again_and_may_be_missing_for_a_while() {
    let cloudwatch = Faulty::cloudwatch(Fault::None);
    let credentials = Faulty::credentials(Fault::None, Duration::from_secs(5));
    let (mut server, memory) = ready(
        in_a_region()
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", &cloudwatch.url())
            .env("PLIMSOLL_METRICS_ROUTE", "cloudwatch")
            .env(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                &format!("{}/credentials", credentials.url()),
            ),
    );
    serve_until(&server, "the first period", FIRST_ATTEMPT, || {
        (count(&page(&server), "periods_published") == 1.0).then_some(())
    });
    // They have expired by the second period, and there are no new ones.
    credentials.turn(Fault::Answer(500, "InternalServerException"));
    let seen = serve_until(&server, "no credentials", SEEN, || {
        let said = server.log().contains("no credentials were found");
        said.then(|| page(&server))
    });
    assert_eq!(count(&seen, "periods_published"), 1.0);
    assert_eq!(count(&seen, "publish_failures"), 0.0, "nothing was sent");
    let asked = credentials.arrivals().len();
    credentials.turn(Fault::None);
    serve_until(&server, "the second period", 2 * PERIOD, || {
        (count(&page(&server), "periods_published") >= 2.0).then_some(())
    });
    assert!(credentials.arrivals().len() > asked, "they are asked again");
    // The service says that they have expired, whatever their date says: new ones are fetched.
    let asked = credentials.arrivals().len();
    cloudwatch.turn(Fault::Answer(400, "ExpiredTokenException"));
    let failures = count(&page(&server), "publish_failures");
    serve_until(&server, "expired", SEEN, || {
        (count(&page(&server), "publish_failures") > failures).then_some(())
    });
    let over = Instant::now();
    cloudwatch.turn(Fault::None);
    recovers(&server, &cloudwatch, over, "expired");
    assert!(credentials.arrivals().len() > asked);
    assert_eq!(count(&page(&server), "periods_dropped"), 0.0);
    assert_bounded(&server, memory, "credentials");
    leave_in_time(&mut server, "credentials");
}

#[test]
fn a_stdout_that_nobody_reads_holds_up_neither_requests_nor_the_end() {
    let blocked = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut filler = writer.try_clone().expect("a descriptor");
        // Far more than a pipe holds: this thread waits for the reader, and so does the server.
        std::thread::spawn(move || filler.write_all(&[b'\n'; 1 << 20]));
        let start = in_a_region().publishing_emf();
        (reader, ready(start.stdout(writer)))
    };
    let (_unread, (mut leaver, _)) = blocked();
    let (reader, (mut server, memory)) = blocked();
    let begun = Instant::now();
    serve_until(&server, "blocked", SEEN, || {
        (begun.elapsed() > TWO_PERIODS).then_some(())
    });
    let published = count(&page(&server), "periods_published");
    assert_eq!(published, 0.0, "nothing has left");
    leave_in_time(&mut leaver, "blocked");
    assert_bounded(&server, memory, "blocked");
    // Read at last, it gets every line whole.
    let lines = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map_while(Result::ok);
        lines
            .filter(|line| !line.is_empty())
            .collect::<Vec<String>>()
    });
    let expected = metric(&page(&server), "plimsoll_invocations_total");
    leave_in_time(&mut server, "read again");
    let events: Vec<serde_json::Value> = lines
        .join()
        .expect("the reader")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    // Publishing begins at the first good ping.
    let published = sum(&events, "Invocations");
    assert!(
        (expected - BEFORE_PING..=expected).contains(&published),
        "{published} of {expected}"
    );
}

#[test]
fn a_driver_that_hangs_leaves_publishing_alone() {
    let nvml = StandIn::new("count 1\n0.name NVIDIA Stand-in\n0.utilization hang\n");
    let cloudwatch = Faulty::cloudwatch(Fault::None);
    let library = nvml.library();
    let start = on(&cloudwatch.url(), "cloudwatch")
        .env("PLIMSOLL_NVML_LIBRARY", library.to_str().expect("UTF-8"));
    let (mut server, memory) = ready(start);
    serve_until(&server, "NVML hangs", SEEN, || {
        (count(&page(&server), "periods_published") >= 2.0).then_some(())
    });
    assert_eq!(count(&page(&server), "publish_failures"), 0.0);
    assert_bounded(&server, memory, "NVML hangs");
    leave_in_time(&mut server, "NVML hangs");
}
