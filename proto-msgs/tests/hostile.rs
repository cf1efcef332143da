//! Bytes that nobody honest sends are refused with an error, and with memory in proportion to what was sent.

mod samples;

use proptest::prelude::*;
use proto_msgs::binary::{self, DecodeError, Hello};
use proto_msgs::{MAX_REQUEST, MAX_RESPONSE, Request, Response, json};
use samples::Seed;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which remembers the largest request of each thread.
struct Watched;

#[expect(unsafe_code, reason = "an allocator can't be watched otherwise; it only notes sizes and passes on")]
// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `at` came from `System`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn largest_allocation<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.set(0);
    let done = work();
    (done, LARGEST.get())
}

/// Decodes as either side would; whatever comes out, no single allocation may exceed the longest message.
fn decode(bytes: &[u8]) -> (Result<Request, DecodeError>, Result<Response, DecodeError>) {
    let (decoded, largest) = largest_allocation(|| (binary::decode(bytes), binary::decode(bytes)));
    assert!(largest <= MAX_RESPONSE, "{largest} bytes allocated for {} bytes", bytes.len());
    decoded
}

fn messages() -> Vec<Vec<u8>> {
    let of = |seed: Seed| {
        let requests = samples::requests(&seed).iter().map(binary::encode).collect::<Vec<_>>();
        requests.into_iter().chain(samples::responses(&seed).iter().map(binary::encode)).collect::<Vec<_>>()
    };
    [of(Seed::golden()), of(Seed::bare())].concat()
}

#[test]
fn a_message_that_was_cut_is_refused() {
    for request in samples::requests(&Seed::golden()) {
        let bytes = binary::encode(&request);
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end]).0, Err(DecodeError::Malformed(_))), "{request:?} cut at {end}");
        }
    }
    for response in samples::responses(&Seed::golden()) {
        let bytes = binary::encode(&response);
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end]).1, Err(DecodeError::Malformed(_))), "{response:?} cut at {end}");
        }
    }
}

#[test]
fn what_follows_a_message_in_its_frame_is_refused() {
    for request in samples::requests(&Seed::golden()) {
        let bytes = [binary::encode(&request), vec![0; 3]].concat();
        assert!(matches!(decode(&bytes).0, Err(DecodeError::Trailing(3))), "{request:?}");
    }
}

#[test]
fn a_huge_length_anywhere_in_a_message_costs_no_memory() {
    for message in messages() {
        for at in 0..message.len() {
            for length in [u64::MAX, 1 << 40, MAX_RESPONSE as u64 + 1, MAX_RESPONSE as u64 - 1, 1 << 16] {
                // 0xfd: eight bytes of an integer follow.
                let huge = [&message[..at], &[0xfd], &length.to_le_bytes(), &message[at + 1..]].concat();
                let _ = decode(&huge);
            }
        }
    }
}

#[test]
fn an_unknown_variant_is_refused() {
    for verb in [proto_msgs::Call::NAMES.len() as u8, 250] {
        // id 1, no deadline, then the verb.
        assert!(matches!(decode(&[1, 0, verb]).0, Err(DecodeError::Malformed(_))));
        // id 1, then `done` of that verb; and a body that is none.
        assert!(matches!(decode(&[1, 1, verb]).1, Err(DecodeError::Malformed(_))));
        assert!(matches!(decode(&[1, verb]).1, Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn a_frame_longer_than_the_limit_is_refused_before_it_is_read() {
    for announced in [u32::MAX, MAX_REQUEST as u32 + 1] {
        let mut bytes: &[u8] = &[&announced.to_le_bytes()[..], b"xyz"].concat();
        let error = binary::read_frame(&mut bytes, MAX_REQUEST).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(bytes, b"xyz");
    }
}

#[test]
fn a_frame_costs_what_arrives_and_not_what_was_announced() {
    let bytes = [&(MAX_RESPONSE as u32).to_le_bytes()[..], b"xyz"].concat();
    let (read, largest) = largest_allocation(|| binary::read_frame(&mut &bytes[..], MAX_RESPONSE));
    assert_eq!(read.expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    assert!(largest <= 64 << 10, "{largest} bytes allocated for 3");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic_and_never_cost_more_than_a_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let _: Result<Hello, _> = binary::decode(&bytes);
        let _ = json::parse_request(&bytes);
        let _ = json::parse_response(&bytes);
        let _ = binary::read_frame(&mut &bytes[..], MAX_REQUEST);
    }

    #[test]
    fn a_damaged_message_never_panics(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let messages = messages();
        let mut bytes = which.get(&messages).clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
    }
}

#[test]
fn json_as_deep_as_a_request_may_be_long_is_refused() {
    let deep = [br#"{"id":3,"call":{"status":"#.to_vec(), vec![b'['; MAX_REQUEST - 64]].concat();
    let (_, fault) = json::parse_request(&deep).expect_err("too deep");
    assert_eq!(fault.kind, proto_msgs::FaultKind::Invalid);
    assert!(fault.detail.len() < 500);
}

#[test]
fn a_fault_does_not_repeat_a_long_request() {
    let long = "x".repeat(MAX_REQUEST - 64);
    for request in
        [format!(r#"{{"id":3,"call":{{"{long}":{{}}}}}}"#), format!(r#"{{"id":3,"call":{{"pin_ls":"{long}"}}}}"#)]
    {
        let (id, fault) = json::parse_request(request.as_bytes()).expect_err("no request");
        assert_eq!(id, 3);
        assert!(fault.detail.len() < 300, "the fault repeats {} bytes of the request", fault.detail.len());
    }
}
