//! Requests that are long while they arrive: only so many at a time, so that clients that send much of one and not its end have us hold
//! little.

use super::places::Place;
use std::io;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Decoder;

/// A request of up to so many bytes needs no leave: 16 MiB with all places taken, and as much for the long ones.
const SHORT: usize = 64 << 10;

/// A codec that holds a long request only with leave; without, it fails with [`io::ErrorKind::ResourceBusy`].
pub(super) struct Long<'a, D> {
    codec: D,
    place: &'a Place,
    leave: Option<OwnedSemaphorePermit>,
}

impl<'a, D> Long<'a, D> {
    pub(super) fn new(codec: D, place: &'a Place) -> Self {
        Long { codec, place, leave: None }
    }
}

impl<D: Decoder> Long<'_, D> {
    fn held(&mut self, bytes: &mut BytesMut) -> Result<(), D::Error> {
        if bytes.len() > SHORT {
            if self.leave.is_none() {
                let leave = self.place.long_request().ok_or(io::ErrorKind::ResourceBusy);
                self.leave = Some(leave.map_err(|busy| D::Error::from(busy.into()))?);
            }
        } else if self.leave.take().is_some() {
            // The long one's buffer would stay for as long as the connection.
            *bytes = BytesMut::from(&bytes[..]);
        }
        Ok(())
    }
}

impl<D: Decoder> Decoder for Long<'_, D> {
    type Item = D::Item;
    type Error = D::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<D::Item>, D::Error> {
        let request = self.codec.decode(bytes)?;
        if request.is_none() {
            self.held(bytes)?;
        }
        Ok(request)
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<D::Item>, D::Error> {
        self.codec.decode_eof(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::places::{LONG_REQUESTS, Places};
    use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError};

    #[test]
    fn so_many_requests_may_be_long_at_a_time_and_a_short_one_needs_no_leave() {
        let places = Places::new();
        let place = places.take(None).expect("a place");
        let codec = || Long::new(AnyDelimiterCodec::new(b"\n".to_vec(), b"\n".to_vec()), &place);
        let long = || BytesMut::from(&vec![b'x'; SHORT + 1][..]);
        let mut held: Vec<_> = (0..LONG_REQUESTS).map(|_| (codec(), long())).collect();
        for (codec, bytes) in &mut held {
            assert!(matches!(codec.decode(bytes), Ok(None)));
            assert!(matches!(codec.decode(bytes), Ok(None)), "it has leave");
        }
        let busy = codec().decode(&mut long());
        assert!(matches!(busy, Err(AnyDelimiterCodecError::Io(error)) if error.kind() == io::ErrorKind::ResourceBusy));
        assert!(matches!(codec().decode(&mut BytesMut::from(&b"short"[..])), Ok(None)));
        let (first, bytes) = &mut held[0];
        bytes.extend_from_slice(b"\nrest");
        assert!(first.decode(bytes).is_ok_and(|line| line.is_some_and(|line| line.len() == SHORT + 1)));
        assert!(matches!(first.decode(bytes), Ok(None)));
        assert_eq!(&bytes[..], b"rest");
        assert!(bytes.capacity() < SHORT, "its buffer is gone");
        assert!(matches!(codec().decode(&mut long()), Ok(None)), "and the leave is back");
    }
}
