//! What cannot be served is refused at start, in one sentence, with the exit status.

use crate::support::{fixture, root, Server};

fn refused(name: &str) -> String {
    let (code, log) = Server::on(name).refused();
    assert_eq!(code, Some(1), "{log}");
    let errors = log.lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "said once: {log}");
    log
}

#[test]
fn broken_models_are_refused_with_the_reason() {
    for (name, expected) in [
        ("broken_domain", "no operator Mystery of domain com.example"),
        ("broken_operator", "no operator Frobnicate"),
        ("broken_extension", "onnxruntime-extensions"),
        ("broken_opset", "opset"),
        ("broken_external_missing", "table.bin, which is missing"),
        ("broken_external_short", "table.bin"),
        ("broken_external_outside", "outside the model's folder"),
    ] {
        let log = refused(name);
        assert!(log.contains(expected), "{name}: {log}");
        assert!(
            !log.contains(".cc:") && !log.contains("onnxruntime_src"),
            "{name}: {log}"
        );
    }
}

#[test]
fn a_library_that_is_missing_or_something_else_is_named() {
    for (library, expected) in [
        ("/nonexistent/libonnxruntime.so", "is missing"),
        (
            root().join("README.md").to_str().unwrap(),
            "cannot be loaded",
        ),
        ("/lib/x86_64-linux-gnu/libm.so.6", "is not ONNX Runtime"),
    ] {
        if library.ends_with("libm.so.6") && !std::path::Path::new(library).exists() {
            println!("skipped: {library} is not on this machine");
            continue;
        }
        let (code, log) = Server::on("sum4")
            .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", library)
            .refused();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(library) && log.contains(expected), "{log}");
    }
}

#[test]
fn a_library_that_is_too_old_is_named_with_its_version() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = dir.path().join("old.c");
    let library = dir.path().join("libonnxruntime.so");
    // The two functions of the real library that are asked first, of a version long gone.
    std::fs::write(
        &source,
        "static const char *version(void) { return \"1.9.0\"; }\n\
         static const void *api(unsigned v) { (void)v; return 0; }\n\
         static struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };\n\
         const void *OrtGetApiBase(void) { return &base; }\n",
    )
    .expect("written");
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler");
        return;
    }
    let (code, log) = Server::on("sum4")
        .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", library.to_str().unwrap())
        .refused();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("1.9.0") && log.contains("or newer"), "{log}");
}

#[test]
fn the_library_is_found_without_help() {
    let server = Server::on("sum4")
        .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", "")
        .ready();
    assert!(server.log().contains("ONNX Runtime 1."), "{}", server.log());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, log) = Server::on("sum4")
        .env("SAGEMAKER_BIND_TO_PORT", &port)
        .refused();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&port) && log.contains("free port"), "{log}");
}

#[test]
fn wrong_settings_are_all_named_and_exit_64() {
    let (code, log) = Server::on("sum4")
        .env("PLIMSOLL_SLOTS", "many")
        .env("PLIMSOLL_METRICS_ROUTE", "pigeon")
        .env("PLIMSOLL_QUEUE_LIMITS", "3")
        .refused();
    assert_eq!(code, Some(64), "{log}");
    for expected in [
        "PLIMSOLL_SLOTS=many: expected a whole number from 1 to 1024",
        "PLIMSOLL_METRICS_ROUTE=pigeon: expected auto, cloudwatch, emf or none",
        "did you mean PLIMSOLL_QUEUE_LIMIT?",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
}

#[test]
fn wrong_settings_of_the_metrics_are_named_with_what_was_expected() {
    let long = "v".repeat(1025);
    let names = ("PLIMSOLL_ENDPOINT_NAME", "PLIMSOLL_VARIANT_NAME");
    for (name, value, said, expected) in [
        (names.1, "  ", "only one of", "expected both or none"),
        (names.0, &long, &long, "expected 1 to 1024 printable ASCII"),
        (
            names.0,
            "naïve",
            "naïve",
            "expected 1 to 1024 printable ASCII",
        ),
        ("PLIMSOLL_NAMESPACE", "AWS/Mine", "AWS/Mine", "reserved"),
        ("PLIMSOLL_METRICS_PERIOD_SECS", "7", "=7", "10 or 60"),
        ("PLIMSOLL_PRICE_METRIC", "-0.3", "=-0.3", "0 or more"),
        (
            "PLIMSOLL_PRICE_CALLS",
            "NaN",
            "=NaN",
            "a price in US dollars",
        ),
        (
            "PLIMSOLL_PRICE_LOGS",
            "half",
            "=half",
            "a price in US dollars",
        ),
        (
            "PLIMSOLL_METRICS",
            "OferedLoad",
            "OferedLoad",
            "did you mean OfferedLoad?",
        ),
    ] {
        let (code, log) = Server::on("sum4")
            .env(names.0, "endpoint")
            .env(names.1, "AllTraffic")
            .env(name, value)
            .refused();
        assert_eq!(code, Some(64), "{name}={value}: {log}");
        assert_eq!(log.lines().count(), 1, "{name}={value}: {log}");
        assert!(
            log.contains(said) && log.contains(expected),
            "{name}={value}: {log}"
        );
    }
}

#[test]
fn the_start_says_what_was_found_and_decided() {
    let server = Server::on("mix").env("PLIMSOLL_SLOTS", "3").ready();
    let log = server.log();
    for expected in [
        "model.onnx",
        "takes  a int64[N,2]",
        "takes  b float32[N,2]",
        "gives  s float32[N,2]",
        "slots    3 × 1 intra-op thread(s): set by the user",
        "CPUExecutionProvider",
        "its telemetry off",
        "metrics ",
        "ready    on 0.0.0.0:",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert!(!log.contains('\u{1b}'), "colour codes: {log}");
}

#[test]
fn json_logs_are_one_object_a_line() {
    let server = Server::on("sum4").env("PLIMSOLL_LOG", "json").ready();
    let log = server.log();
    assert!(log.lines().count() > 5, "{log}");
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(
            event["message"].is_string() && event["level"] == "INFO",
            "{line}"
        );
    }
}

#[test]
fn models_are_found_in_every_layout() {
    let whole = fixture("sum4").join("model.onnx");
    for layout in ["model.onnx", "anything.onnx", "sum/1/model.onnx"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join(layout);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::copy(&whole, &file).expect("copied");
        let server = Server::on_folder(dir.path()).ready();
        assert_eq!(
            server.invoke("text/csv", "1,2,3,4").text(),
            "10",
            "{layout}"
        );
    }
}
