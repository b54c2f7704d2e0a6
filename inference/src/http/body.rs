//! Takes a request's body in, up to the limit and the deadline.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::HttpError;
use super::headers::Asked;
use super::App;

/// Every element type is aligned here.
const ALIGNMENT: usize = 64;
/// The most that is set aside for a body on its sender's word alone.
const TRUSTED_BYTES: usize = 1 << 30;
/// Bodies below this size are not counted against the room that all of them share.
const SMALL_BYTES: usize = 64 * 1024;
/// The room is counted in units of this.
const UNIT_BYTES: usize = 64 * 1024;

/// What all request bodies together may take; shared by all requests.
pub struct Room {
    units: Arc<Semaphore>,
    limit: usize,
}

/// A body's part of the room, given back when the request is over.
#[derive(Default)]
pub struct Place(Option<OwnedSemaphorePermit>);

impl Place {
    /// Takes room for what a body was decompressed to as well.
    ///
    /// # Errors
    /// [`HttpError::NoRoom`] or [`HttpError::NeverFits`].
    pub fn grow(&mut self, room: &Room, bytes: usize) -> Result<(), HttpError> {
        match room.grow(&mut self.0, bytes) {
            true => Ok(()),
            false => Err(room.refusal(bytes)),
        }
    }
}

impl Room {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            limit: bytes,
        }
    }

    /// The refusal where it is not enough.
    #[cold]
    fn refusal(&self, bytes: usize) -> HttpError {
        let limit = self.limit;
        if bytes > limit {
            HttpError::NeverFits { limit }
        } else {
            HttpError::NoRoom { limit }
        }
    }

    /// Takes room for a body that has `bytes` by now, beyond what it holds; whether there was any.
    fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        if bytes <= SMALL_BYTES {
            return true;
        }
        let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wants = bytes.div_ceil(UNIT_BYTES);
        let Some(more) = wants.checked_sub(has).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(more) = u32::try_from(more) else {
            return false;
        };
        match (Arc::clone(&self.units).try_acquire_many_owned(more), held) {
            (Err(_), _) => false,
            (Ok(taken), Some(held)) => {
                held.merge(taken);
                true
            }
            (Ok(taken), held) => {
                *held = Some(taken);
                true
            }
        }
    }
}

/// The whole body, and whether it had to be waited for. One that came in one piece is not copied; one
/// that came in several is laid out so that its byte `aligned_at` is aligned for any element.
///
/// # Errors
/// [`HttpError::TooLarge`], [`HttpError::BodyCutOff`], [`HttpError::BodyTooSlow`], or
/// [`HttpError::NoRoom`] where the bodies of other requests leave too little.
pub async fn collect(
    app: &App,
    asked: &Asked<'_>,
    mut body: Incoming,
    arrived: Instant,
    aligned_at: usize,
) -> Result<(Bytes, Place, bool), HttpError> {
    let limit = app.limits.request_bytes;
    let declared = asked.content_length;
    let mut place = None;
    let refused = if declared.is_some_and(|length| length > limit) {
        Some(HttpError::TooLarge { limit })
    } else if declared.is_some_and(|length| length > app.room.limit) {
        Some(app.room.refusal(declared.unwrap_or(0)))
    } else {
        None
    };
    if let Some(refused) = refused {
        // A client that waits for permission gets the refusal instead, and sends nothing.
        if !asked.expects_continue {
            discard(body).await;
        }
        return Err(refused);
    }
    let deadline = arrived + app.limits.request;
    let mut whole: Option<Bytes> = None;
    let mut pieces = Pieces::default();
    let mut has_waited = false;
    loop {
        let mut frame = pin!(tokio::time::timeout_at(deadline.into(), body.frame()));
        let frame = poll_fn(|context| {
            let polled = frame.as_mut().poll(context);
            has_waited |= polled.is_pending();
            polled
        });
        let frame = frame
            .await
            .map_err(|_| HttpError::BodyTooSlow(app.limits.request))?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| HttpError::BodyCutOff)?.into_data() else {
            // Trailers.
            continue;
        };
        let length = pieces.len() + whole.as_ref().map_or(0, Bytes::len) + data.len();
        let refused = if length > limit {
            Some(HttpError::TooLarge { limit })
        } else if !app.room.grow(&mut place, length) {
            Some(app.room.refusal(length))
        } else {
            None
        };
        if let Some(refused) = refused {
            // Neither memory nor room is held while what is left is read.
            drop((whole, pieces, place.take()));
            discard(body).await;
            return Err(refused);
        }
        match whole.take() {
            None if pieces.is_empty() => whole = Some(data),
            first => {
                if let Some(first) = first {
                    // Reserved pages that no byte is written to cost nothing, so a caller who
                    // declares more than is sent gains nothing.
                    let declared = declared.unwrap_or(0).min(TRUSTED_BYTES);
                    let room = declared.max(first.len() + data.len());
                    pieces = Pieces::with_room(room, aligned_at)
                        .ok_or_else(|| app.room.refusal(length))?;
                    pieces
                        .append(&first)
                        .ok_or_else(|| app.room.refusal(length))?;
                }
                pieces
                    .append(&data)
                    .ok_or_else(|| app.room.refusal(length))?;
            }
        }
    }
    let whole = whole.unwrap_or_else(|| pieces.join());
    Ok((whole, Place(place), has_waited))
}

/// A body that came in several pieces. Memory that the system refuses is `None`, not an abort.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    /// Bytes before the body, that align what is in it.
    padding: usize,
}

impl Pieces {
    fn with_room(room: usize, aligned_at: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room.checked_add(ALIGNMENT)?).ok()?;
        let at = (bytes.as_ptr() as usize).wrapping_add(aligned_at) % ALIGNMENT;
        let padding = (ALIGNMENT - at) % ALIGNMENT;
        bytes.resize(padding, 0);
        Some(Self { bytes, padding })
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.padding
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn append(&mut self, piece: &[u8]) -> Option<()> {
        self.bytes.try_reserve(piece.len()).ok()?;
        self.bytes.extend_from_slice(piece);
        Some(())
    }

    fn join(self) -> Bytes {
        Bytes::from(self.bytes).slice(self.padding..)
    }
}

/// How long, and how much, of a refused body is still taken from its sender. Many clients read the
/// reply only after they have sent everything; a closed socket would hide it from them.
const DISCARD_FOR: Duration = Duration::from_secs(5);
const DISCARD_UP_TO: usize = 1 << 30;

/// Reads what is left of a body and keeps none of it.
pub async fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let all = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARD_UP_TO {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_FOR, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_laid_out_for_what_is_inside_them() {
        for aligned_at in [0, 1, 63, 64, 1000] {
            let mut pieces = Pieces::with_room(2000, aligned_at).unwrap();
            assert!(pieces.is_empty());
            pieces.append(&[1; 1500]).unwrap();
            pieces.append(&[2; 500]).unwrap();
            assert_eq!(pieces.len(), 2000);
            let body = pieces.join();
            assert_eq!(body.len(), 2000);
            assert_eq!((body.as_ptr() as usize + aligned_at) % ALIGNMENT, 0);
        }
        assert_eq!(Pieces::default().join(), Bytes::new());
        assert!(Pieces::with_room(usize::MAX, 0).is_none());
        assert!(Pieces::with_room(isize::MAX.cast_unsigned(), 0).is_none());
    }

    #[test]
    fn bodies_share_one_room_and_give_it_back() {
        let room = Room::new(10 * UNIT_BYTES);
        let (mut first, mut second) = (None, None);
        assert!(room.grow(&mut first, SMALL_BYTES) && first.is_none());
        assert!(room.grow(&mut first, 6 * UNIT_BYTES));
        assert!(
            room.grow(&mut first, 6 * UNIT_BYTES - 1),
            "it has that much"
        );
        assert!(!room.grow(&mut second, 5 * UNIT_BYTES));
        assert!(room.grow(&mut second, 4 * UNIT_BYTES));
        assert!(!room.grow(&mut first, 7 * UNIT_BYTES));
        drop(second);
        assert!(room.grow(&mut first, 10 * UNIT_BYTES));
        drop(first);
        assert!(room.grow(&mut None, 10 * UNIT_BYTES));
        assert!(Room::new(usize::MAX).grow(&mut None, 1 << 40));
    }
}
