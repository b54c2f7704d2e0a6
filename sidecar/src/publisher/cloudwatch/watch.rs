//! Watches one call: whether its request has begun to leave, and what time the answer says.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use aws_sdk_cloudwatch::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_cloudwatch::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatch::error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::publisher::skew::Skew;

/// An interceptor for one call.
#[derive(Debug)]
pub(super) struct Watch {
    written: Arc<AtomicBool>,
    skew: Arc<Skew>,
    sent: Mutex<Option<SystemTime>>,
}

impl Watch {
    /// Sets `written` when the request begins to leave.
    pub(super) fn new(written: Arc<AtomicBool>, skew: Arc<Skew>) -> Self {
        Self {
            written,
            skew,
            sent: Mutex::default(),
        }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request_mut().body_mut();
        let inner = Box::pin(std::mem::replace(body, SdkBody::taken()));
        let written = self.written.clone();
        *body = SdkBody::from_body_1_x(Watched { inner, written });
        *self.sent() = Some(SystemTime::now());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // What a cache answers has an old date.
        let date = headers
            .get("date")
            .filter(|_| headers.get("age").is_none())
            .and_then(|date| DateTime::from_str(date, Format::HttpDate).ok())
            .and_then(|date| SystemTime::try_from(date).ok());
        if let (Some(server), Some(sent)) = (date, *self.sent()) {
            self.skew.observe(server, sent, SystemTime::now());
        }
        Ok(())
    }
}

/// A request's body. It is first asked for when a connection stands and the head is written: while
/// it has not been, CloudWatch cannot have the request.
struct Watched {
    inner: Pin<Box<SdkBody>>,
    written: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.written.store(true, Ordering::Relaxed);
        self.inner.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&*self.inner)
    }
}
