//! A model on a GPU that is full, and one that is lost, as a caller and the platform see it.

use super::measured_tests::{start_on, Test};
use crate::runtime::{Engine, RunError};
use crate::tensor::{Tensor, Value};

/// A GPU that does what the first number of the request says: 1 is out of memory, 2 is lost.
struct OnGpu {
    lost: Option<RunError>,
}

impl Engine for OnGpu {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let crate::tensor::Data::Float32(values) = inputs[0].data() else {
            panic!("the signature says so");
        };
        match values[0] {
            1.0 => Err(RunError::OutOfMemory(
                "CUDA failure 2: out of memory".to_owned(),
            )),
            2.0 => {
                let lost =
                    RunError::DeviceLost("CUDA failure 700: an illegal memory access".to_owned());
                self.lost = Some(lost.clone());
                Err(lost)
            }
            _ => Ok(vec![Value::Tensor(inputs[0].slice_rows(0..1))]),
        }
    }

    fn is_on_gpu(&self) -> bool {
        true
    }
}

pub(crate) fn on_gpu() -> Test {
    start_on(Box::new(OnGpu { lost: None }))
}

pub(crate) fn post(first: u8) -> String {
    let body = format!("[[{first},2,3,4]]");
    format!(
        "POST /invocations HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const PING: &str = "GET /ping HTTP/1.1\r\nhost: h\r\n\r\n";

#[tokio::test]
async fn a_run_that_does_not_fit_the_device_is_503_and_the_next_one_is_answered() {
    let mut test = on_gpu();
    assert!(test.send(&[&post(0)]).await.starts_with("HTTP/1.1 200"));
    for _ in 0..3 {
        let full = test.send(&[&post(1)]).await;
        assert!(full.starts_with("HTTP/1.1 503"), "{full}");
        assert!(full.contains("retry-after: 1"), "{full}");
        assert!(
            full.contains("not enough memory") && full.contains("out of memory"),
            "{full}"
        );
        assert!(test.send(&[PING]).await.starts_with("HTTP/1.1 200"));
        assert!(test.send(&[&post(0)]).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(
        test.app.ready.model().unwrap().scheduler.lost_device(),
        None
    );
}

#[tokio::test]
async fn a_lost_device_is_503_on_ping_with_the_reason_and_every_request_is_told() {
    let mut test = on_gpu();
    assert!(test.send(&[PING]).await.starts_with("HTTP/1.1 200"));
    let lost = test.send(&[&post(2)]).await;
    assert!(lost.starts_with("HTTP/1.1 503"), "{lost}");
    assert!(lost.contains("the GPU is lost: CUDA failure 700"), "{lost}");
    let ping = test.send(&[PING]).await;
    assert!(ping.starts_with("HTTP/1.1 503"), "{ping}");
    assert!(ping.contains("the GPU is lost: CUDA failure 700"), "{ping}");
    let later = test.send(&[&post(0)]).await;
    assert!(later.starts_with("HTTP/1.1 503"), "{later}");
    // Whoever waits for it is told, before or after.
    let scheduler = &test.app.ready.model().unwrap().scheduler;
    let reason = scheduler.device_lost().await;
    assert!(reason.starts_with("CUDA failure 700"), "{reason}");
}
