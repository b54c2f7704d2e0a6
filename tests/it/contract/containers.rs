//! H. Several containers on one instance, and a container of several models before it has one.

use serde_json::json;

use crate::contract::process::listening_ports;
use crate::support::container::Network;
use crate::support::Server;

#[test]
fn case_023_a_multi_model_server_is_ready_without_a_model() {
    let server = Server::on_folder(std::path::Path::new("/nonexistent"))
        .env("SAGEMAKER_MULTI_MODEL", "true")
        .bound();
    let ping = server.get("/ping");
    assert_eq!((ping.status, ping.body.len()), (200, 0), "{}", ping.text());
    let models = server.get("/models");
    assert_eq!(models.status, 200, "{}", models.text());
    assert_eq!(models.json(), json!({"models": []}));
}

#[test]
fn case_108_a_multi_model_server_keeps_to_the_bound_port() {
    let Some(network) = Network::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    let server = Server::on_folder(std::path::Path::new("/nonexistent"))
        .env("SAGEMAKER_MULTI_MODEL", "true")
        .env("SAGEMAKER_SAFE_PORT_RANGE", "25000-25999")
        .in_network(&network)
        .bound_to(9123);
    for path in ["/ping", "/models", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for port in listening_ports(server.pid()) {
        assert!(port == 9123 || (25_000..=25_999).contains(&port), "{port}");
    }
}

#[test]
fn case_109_a_default_accept_decides_for_the_next_container() {
    let server = Server::on("sum4")
        .env("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
        .ready();
    let reply = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!(reply.header("content-type"), Some("text/csv"));
    assert_eq!(reply.text(), "10");
}

#[test]
fn case_110_parameters_that_an_upstream_container_added_do_no_harm() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke("text/csv; charset=utf-8", "1,2,3,4");
    assert_eq!((reply.status, reply.text().as_str()), (200, "10"));
    assert_eq!(reply.header("content-type"), Some("text/csv"));
}
