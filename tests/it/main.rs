//! The product from outside: the real binary, a real ONNX Runtime, real sockets.
//!
//! `cargo xtask test` prepares what these tests stand on (the library, the models, the fixtures,
//! the CloudWatch stand-in) under `.plimsoll/`. Every test starts its own server on a port that the
//! system chooses. With `PLIMSOLL_TEST_LONG=1` the longest run takes five minutes in place of one.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod support;

// The numbered cases of the contract with SageMaker.
mod contract;
// What the routes answer beyond them, and what they survive.
mod batching;
mod device;
mod hostile;
mod invocations;
mod outputs;
// ONNX's own operator cases, by their recorded outputs.
mod conformance;
// Whole requests and replies of every content type, byte for byte.
mod pairs;
// The demo models, by their known request and reply.
mod models;
// Bad models and settings: refused at start, with the reason.
mod limits;
mod start;
// Real clients.
mod clients;
// On the way out.
mod shutdown;
// What leaves: Prometheus page, CloudWatch, embedded metric format.
mod bill;
mod catalogue;
// What leaves: Prometheus page, CloudWatch, embedded metric format; and what happens where it cannot.
mod faults;
mod gpu;
mod metrics_page;
mod publishing;
mod scrape;
// What decides: the simulator, and scaling documents.
mod policy_account;
mod policy_lint;
mod policy_write;
mod simulate;
mod simulate_page;
mod simulate_traffic;
// How it is deployed.
mod deploying;
// The house: who imports whom, and documents that match the code.
mod documents;
mod layers;
