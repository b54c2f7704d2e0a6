//! Every setting: its default, its bad values, and what belongs together.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, Wrong> {
    let mut environment: BTreeMap<String, String> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    environment
        .entry("SAGEMAKER_BASE_DIR".to_owned())
        .or_insert_with(|| "/nonexistent".to_owned());
    Settings::from_map(&environment)
}

fn wrong(pairs: &[(&str, &str)]) -> String {
    read(pairs).unwrap_err().0.join("\n")
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let settings = read(&[("PLIMSOLL_SLOTS", " ")]).unwrap();
    assert_eq!(settings.port, 8080);
    assert_eq!(settings.slots, None);
    assert_eq!(settings.queue_limit, inference::config::DEFAULT_QUEUE_LIMIT);
    let limits = sidecar::limits();
    let config = settings.inference(&limits);
    assert_eq!(
        config.max_request_bytes,
        inference::config::DEFAULT_MAX_REQUEST_BYTES
    );
    assert_eq!(
        config.request_limit,
        inference::config::DEFAULT_REQUEST_LIMIT
    );
}

#[test]
fn every_bad_value_is_named_with_what_was_expected() {
    for (name, value, expected) in [
        ("SAGEMAKER_BIND_TO_PORT", "80a", "a port from 0"),
        ("SAGEMAKER_BIND_TO_PORT", "65536", "65535"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "25000", "such as 25000-25999"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9-8", "two ports"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "0-8", "two ports"),
        ("SAGEMAKER_MAX_REQUEST_SIZE", "0", "1 or more"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "a whole number"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0", "from 1 to 86400"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "86401", "from 1 to 86400"),
        (
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
            "image/png",
            "text/csv",
        ),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "WARNING"),
        ("PLIMSOLL_LOG", "xml", "text or json"),
        ("PLIMSOLL_SLOTS", "two", "from 1 to 1024"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "all", "from 1 to 1024"),
        ("PLIMSOLL_INTRA_OP_THREADS", "0", "from 1 to 1024"),
        ("PLIMSOLL_DEVICE", "gpu", "auto, cpu, cuda, cuda:N"),
        ("PLIMSOLL_DEVICE", "cuda:-1", "tensorrt:N"),
        ("PLIMSOLL_DEVICE", "cpu:0", "from 0"),
        ("PLIMSOLL_GPU_MEMORY_LIMIT_MB", "0", "1 or more"),
        ("PLIMSOLL_CUDA_GRAPH", "yes", "on or off"),
        ("PLIMSOLL_ON_DEVICE_LOST", "reboot", "stay or exit"),
        ("PLIMSOLL_BATCHING", "0", "auto, off, or a whole number"),
        ("PLIMSOLL_BATCHING", "sometimes", "auto, off"),
        ("PLIMSOLL_QUEUE_LIMIT", "0", "1 or more"),
        (
            "PLIMSOLL_METRICS_ROUTE",
            "statsd",
            "auto, cloudwatch, emf or none",
        ),
        ("PLIMSOLL_METRICS_PERIOD_SECS", "30", "10 or 60"),
        ("PLIMSOLL_NAMESPACE", "AWS/SageMaker", "AWS/"),
        ("PLIMSOLL_PRICE_METRIC", "-0.3", "0 or more"),
        ("PLIMSOLL_PRICE_CALLS", "NaN", "a price in US dollars"),
        ("PLIMSOLL_PRICE_LOGS", "inf", "0 or more, such as 0.30"),
        (
            "PLIMSOLL_PRICE_LOGS",
            "half a dollar",
            "a price in US dollars",
        ),
        ("PLIMSOLL_MAX_UNPACKED_MB", "0", "1 or more"),
        ("PLIMSOLL_MAX_BODIES_MB", "none", "1 or more"),
        ("PLIMSOLL_MAX_HEADER_BYTES", "-1", "1 or more"),
        ("PLIMSOLL_STREAM_RECORDS", "many", "a whole number"),
        ("PLIMSOLL_METRICS_FLUSH", "always", "timer or request"),
        ("SAGEMAKER_BATCH", "maybe", "true, 1 or yes"),
        ("SAGEMAKER_MULTI_MODEL", "2", "true, 1 or yes"),
        (
            "SAGEMAKER_BATCH_STRATEGY",
            "ALL",
            "SINGLE_RECORD or MULTI_RECORD",
        ),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "0", "1 or more"),
        (
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
            "x",
            "from 1 to 86400",
        ),
    ] {
        let message = wrong(&[(name, value)]);
        assert!(message.contains(value), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let both = wrong(&[("PLIMSOLL_SLOTS", "x"), ("PLIMSOLL_LOG", "y")]);
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn an_unknown_setting_is_named_with_its_neighbour() {
    let message = wrong(&[("PLIMSOLL_SLOT", "1")]);
    assert!(
        message.contains("did you mean PLIMSOLL_SLOTS?"),
        "{message}"
    );
    let message = wrong(&[("PLIMSOLL_WHATEVER_ELSE", "1")]);
    assert!(message.contains("unknown setting"), "{message}");
}

#[test]
fn metrics_are_chosen_by_name_and_an_unknown_one_is_named_with_its_neighbour() {
    let chosen = |text| {
        read(&[("PLIMSOLL_METRICS", text)])
            .unwrap()
            .sidecar()
            .metrics
    };
    assert_eq!(chosen("all"), Metric::ALL);
    assert_eq!(chosen(""), Metric::ALL);
    let two = [Metric::OfferedLoad, Metric::Rejected];
    assert_eq!(chosen("Rejected, OfferedLoad,Rejected"), two);
    for (text, expected) in [
        (
            "OfferdLoad",
            "\"OfferdLoad\" is none; did you mean OfferedLoad?",
        ),
        (
            "Rejected,invocations",
            "\"invocations\" is none; did you mean Invocations?",
        ),
        (
            "Rejected,,Invocations",
            "\"\" is none; the README lists them all",
        ),
        ("Everything", "\"Everything\" is none; the README"),
        ("OfferedLoad,all", "\"all\" is none"),
    ] {
        let message = wrong(&[("PLIMSOLL_METRICS", text)]);
        assert!(
            message.starts_with(&format!("PLIMSOLL_METRICS={text}: ")),
            "{message}"
        );
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn prices_are_those_of_the_list_unless_they_are_set() {
    assert_eq!(read(&[]).unwrap().prices(), Prices::default());
    let set = [
        ("PLIMSOLL_PRICE_METRIC", "0.1"),
        ("PLIMSOLL_PRICE_CALLS", "0"),
        ("PLIMSOLL_PRICE_LOGS", "2"),
    ];
    let prices = read(&set).unwrap().prices();
    assert_eq!(
        (prices.metric, prices.thousand_calls, prices.log_gb),
        (0.1, 0.0, 2.0)
    );
}

#[test]
fn an_empty_list_of_visible_gpus_hides_them_all_and_none_hides_nothing() {
    let visible = |pairs: &[_]| read(pairs).unwrap().sidecar().visible_gpus;
    assert_eq!(visible(&[]), None);
    for (value, expected) in [("0,1", "0,1"), ("", "-1"), (" ", "-1")] {
        let found = visible(&[("CUDA_VISIBLE_DEVICES", value)]);
        assert_eq!(found.as_deref(), Some(expected), "{value:?}");
    }
}

#[test]
fn dimensions_come_together_or_not_at_all() {
    let half = wrong(&[("PLIMSOLL_ENDPOINT_NAME", "e")]);
    assert!(half.contains("PLIMSOLL_VARIANT_NAME"), "{half}");
    let settings = read(&[
        ("PLIMSOLL_ENDPOINT_NAME", "e"),
        ("PLIMSOLL_VARIANT_NAME", "v"),
    ])
    .unwrap();
    let names: Vec<_> = settings
        .sidecar()
        .dimensions
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["EndpointName", "VariantName"]);
}

#[test]
fn the_file_beside_the_model_is_read_and_the_environment_wins() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().to_str().unwrap();
    std::fs::create_dir(dir.path().join("model")).unwrap();
    let file = dir.path().join("model/plimsoll.toml");
    std::fs::write(&file, "queue_limit = 7\nslots = 2\n").unwrap();
    let environment = [("SAGEMAKER_BASE_DIR", base), ("PLIMSOLL_SLOTS", "3")];
    let settings = read(&environment).unwrap();
    assert_eq!(settings.queue_limit, 7);
    assert_eq!(settings.slots.map(NonZeroUsize::get), Some(3));

    std::fs::write(&file, "queue_limits = 7\nslots = [1]\nprice_metric = 0.3\n").unwrap();
    let message = wrong(&environment);
    assert!(message.contains("did you mean queue_limit?"), "{message}");
    assert!(
        message.contains("slots is of type array: expected a string"),
        "{message}"
    );
    std::fs::write(&file, "slots = 1\nqueue_limit = \n").unwrap();
    let message = wrong(&environment);
    assert!(message.contains("line 2"), "{message}");
}

#[test]
fn flags_are_read_in_any_case_and_an_empty_one_is_off() {
    for (text, on) in [
        ("TRUE", true),
        ("yes", true),
        ("1", true),
        ("No", false),
        ("", false),
    ] {
        let settings = read(&[("SAGEMAKER_BATCH", text), ("SAGEMAKER_MULTI_MODEL", text)]);
        let settings = settings.unwrap();
        assert_eq!((settings.batch, settings.multi_model), (on, on), "{text}");
    }
    let settings = read(&[("SAGEMAKER_BATCH_STRATEGY", "SingleRecord")]).unwrap();
    assert_eq!(settings.batch_strategy, Some("SINGLE_RECORD"));
}

#[test]
fn settings_with_two_names_take_the_better_known_one() {
    let limits = sidecar::limits();
    let limit = |pairs: &[(&str, &str)]| {
        read(pairs)
            .unwrap()
            .inference(&limits)
            .request_limit
            .as_secs()
    };
    let (short, long) = (
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    );
    let slots = |pairs: &[(&str, &str)]| {
        let budget = read(pairs).unwrap().inference(&limits).budget;
        budget.slots.map(NonZeroUsize::get)
    };
    let workers = ("SAGEMAKER_MODEL_SERVER_WORKERS", "3");
    assert_eq!(slots(&[workers]), Some(3));
    assert_eq!(slots(&[workers, ("PLIMSOLL_SLOTS", "2")]), Some(2));
    assert_eq!(limit(&[(long, "7")]), 7);
    assert_eq!(limit(&[(short, "5"), (long, "7")]), 5);
}

#[test]
fn the_device_and_its_memory_reach_the_server() {
    let limits = sidecar::limits();
    let device = |pairs: &[(&str, &str)]| read(pairs).unwrap().inference(&limits).device;
    let unset = device(&[]);
    assert_eq!(unset.wanted, Wanted::Auto);
    assert_eq!((unset.memory_limit, unset.on_lost), (None, OnLost::Stay));
    for other in ["tensorrt:1", "cpu"] {
        let both = wrong(&[("PLIMSOLL_DEVICE", other), ("PLIMSOLL_CUDA_GRAPH", "on")]);
        let expected = format!("PLIMSOLL_DEVICE={other} runs others");
        assert!(both.contains(&expected), "{both}");
    }
    assert!(device(&[("PLIMSOLL_CUDA_GRAPH", "on")]).cuda_graph);
    let set = device(&[
        ("PLIMSOLL_DEVICE", "tensorrt:1"),
        ("PLIMSOLL_GPU_MEMORY_LIMIT_MB", "512"),
        ("PLIMSOLL_ON_DEVICE_LOST", "exit"),
    ]);
    assert_eq!(set.wanted.to_string(), "tensorrt:1");
    assert_eq!(
        (set.memory_limit, set.on_lost),
        (Some(512 << 20), OnLost::Exit)
    );
}

#[test]
fn what_a_body_unfolds_to_is_bounded_as_the_body_is() {
    let limits = sidecar::limits();
    let limit = |pairs: &[(&str, &str)]| read(pairs).unwrap().inference(&limits).max_unpacked_bytes;
    assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")]), 6 << 20);
    assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")]), 1 << 30);
    assert_eq!(limit(&[("PLIMSOLL_MAX_UNPACKED_MB", "7")]), 7 << 20);
}

#[test]
fn the_body_limit_follows_the_more_exact_setting() {
    let limits = sidecar::limits();
    let limit = |pairs: &[(&str, &str)]| read(pairs).unwrap().inference(&limits).max_request_bytes;
    assert_eq!(
        limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")]),
        6 * 1024 * 1024
    );
    assert_eq!(limit(&[("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")]), usize::MAX);
    assert_eq!(
        limit(&[
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6"),
            ("SAGEMAKER_MAX_REQUEST_SIZE", "99")
        ]),
        99
    );
}
