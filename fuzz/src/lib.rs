//! What is fuzzed: everything that takes bytes from others. Each target takes any bytes, never panics, and holds what it says.
//! `cargo fuzz run NAME` drives them with coverage; `tests/fuzz.rs` of the workspace drives the same functions on stable.

use bytes::BytesMut;
use ipfs_kitd::analytics::evidence::requests::{self, Cursor};
use ipfs_kitd::analytics::evidence::web_line::{self, Line};
use ipfs_kitd::index::journal::{FLOOR, Journal};
use ipfs_kitd::index::mark::Mark;
use ipfs_kitd::index::record::{self, HEAD, Next, Reader};
use ipfs_kitd::index::set::{Keyed, Sums};
use ipfs_kitd::indexer::listing;
use ipfs_kitd::janitor::facts::Content;
use ipfs_kitd::janitor::verdict;
use ipfs_kitd::kubo::address::Address;
use ipfs_kitd::kubo::requests::Request as Asked;
use proto_msgs::access::AccessSeen;
use proto_msgs::binary::{self, Hello};
use proto_msgs::pin::PinType;
use proto_msgs::{MAX_REQUEST, Request, Response, json};
use tokio_util::codec::{AnyDelimiterCodec, Decoder, LengthDelimitedCodec};

/// One target.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("request", request),
    ("response", response),
    ("frame", frame),
    ("listing", listing),
    ("lock", lock),
    ("journal", journal),
    ("gateway_line", gateway_line),
    ("request_log", request_log),
];

/// What a client sends, in either form: what is understood is understood again after it was written.
pub fn request(bytes: &[u8]) {
    if let Ok(request) = json::parse_request(bytes) {
        assert_eq!(json::parse_request(&json::request_line(&request)), Ok(request.clone()));
        assert_eq!(binary::decode::<Request>(&binary::encode(&request)).ok(), Some(request));
    }
    if let Ok(request) = binary::decode::<Request>(bytes) {
        assert_eq!(json::parse_request(&json::request_line(&request)), Ok(request));
    }
    let _: Result<Hello, _> = binary::decode(bytes);
}

/// What a daemon sends. Numbers that are no JSON (NaN) are `null` there, so that the forms are not held against each other.
pub fn response(bytes: &[u8]) {
    if let Ok(Some(response)) = json::parse_response(bytes) {
        assert_eq!(json::parse_response(&json::response_line(&response)), Ok(Some(response)));
    }
    if let Ok(response) = binary::decode::<Response>(bytes) {
        let _ = json::response_line(&response);
        assert!(binary::decode::<Response>(&binary::encode(&response)).is_ok());
    }
}

/// A run of frames, as a client reads it and as the daemon does, and of lines: none is longer than the limit or than what there is, and
/// both readers of frames find the same.
pub fn frame(bytes: &[u8]) {
    let mut rest = bytes;
    let read: Vec<_> = std::iter::from_fn(|| binary::read_frame(&mut rest, MAX_REQUEST).ok()).collect();
    assert!(read.iter().all(|frame| frame.len() <= bytes.len().min(MAX_REQUEST)));

    let mut frames = LengthDelimitedCodec::builder().little_endian().max_frame_length(MAX_REQUEST).new_codec();
    let mut rest = BytesMut::from(bytes);
    let decoded: Vec<_> = std::iter::from_fn(|| frames.decode(&mut rest).ok()?).collect();
    assert_eq!(decoded, read);

    let mut lines = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), MAX_REQUEST);
    let mut rest = BytesMut::from(bytes);
    while let Ok(Some(line)) = lines.decode(&mut rest) {
        assert!(line.len() <= bytes.len().min(MAX_REQUEST));
    }
}

/// Kubo's listings: first the unstreamed one of recursive pins, behind a zero byte that of the direct ones; then each line as a
/// streamed one's. What is whole is sorted, and reads as its sums do.
pub fn listing(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (recursive, direct) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(br#"{"Keys":{}}"#));
    let keyed = Keyed::random();
    let mut sums = Sums::default();
    let folded = listing::fold(recursive, PinType::Recursive, true, &keyed, &mut sums)
        .and_then(|()| listing::fold(direct, PinType::Direct, true, &keyed, &mut sums));
    match listing::parse(recursive, direct) {
        Ok(listing) => {
            assert!(folded.is_ok());
            assert!(listing.pins.is_sorted_by(|one, next| one.key() < next.key()));
        }
        Err(listing::ListingError::Twice { .. }) => assert!(folded.is_ok()),
        Err(listing::ListingError::Malformed(..)) => assert!(folded.is_err()),
    }
    let mut stream = listing::Stream::new(keyed, true);
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = stream.line(line, PinType::Recursive);
    }
    if let Ok((_, listing)) = stream.end() {
        assert!(listing.pins.is_sorted_by(|one, next| one.key() < next.key()));
    }
}

/// Lock files and address files of a repo: what is shown of them is plain text, and an owner is a PID.
pub fn lock(bytes: &[u8]) {
    let content = Content { size: bytes.len() as u64, text: bytes.to_vec(), written: Default::default() };
    let owner = verdict::owner_of(&content);
    assert!(owner.is_none_or(|pid| pid > 0 && i32::try_from(pid).is_ok()));
    for shown in [verdict::excerpt(&content), verdict::whole(&content)] {
        assert!(shown.chars().all(|c| c == '…' || c.is_ascii_graphic() || c == ' '));
    }
    if let Ok(address) = String::from_utf8_lossy(bytes).trim().parse::<Address>() {
        assert!(matches!(address, Address::Unix(_)) || matches!(address, Address::Tcp(at) if at.ip().is_loopback()));
    }
}

/// The journal: records read are those that were written, and whatever the file was, what is said after it was opened is there at
/// the next start.
pub fn journal(bytes: &[u8]) {
    read_records(bytes);
    // Behind a right checksum.
    let payload = &bytes[..bytes.len().min(record::PAYLOAD)];
    read_records(&record::encode(1, 1, payload));

    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("marks.log"), bytes).expect("written");
    let mut journal = Journal::open(dir.path(), FLOOR);
    assert_eq!(journal.closed(), None);
    let said = Mark { tier: Some("hot".to_owned()), ..Mark::none("bafkqaaa".parse().expect("a CID")) };
    let seq = journal.append(&said).expect("appended");
    let again = Journal::open(dir.path(), FLOOR);
    assert_eq!(again.last(), seq);
    let mut newest = None;
    let Ok(()) = again.replay::<std::io::Error>(0, |seq, mark| {
        newest = Some((seq, mark));
        Ok(())
    }) else {
        panic!("the journal cannot be read again");
    };
    assert_eq!(newest, Some((seq, said)));
}

fn read_records(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    loop {
        let before = reader.offset();
        match reader.read_one().expect("memory can be read") {
            Next::Record(record) => {
                let written = record::encode(record.epoch, record.seq, &record.payload);
                assert_eq!(&bytes[before as usize..reader.offset() as usize], written);
            }
            Next::Spoilt { length, .. } => assert!(length >= HEAD as u64 && reader.offset() == before + length),
            Next::End => return assert_eq!(reader.offset(), bytes.len() as u64),
            Next::Torn | Next::Damaged(_) => return assert!(reader.offset() < bytes.len() as u64),
        }
    }
}

/// Lines of the log of a web server: what is read is short and has numbers that JSON has.
pub fn gateway_line(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Line::Read(read) = web_line::read(line) {
            assert!(read.named.path.is_none_or(|path| (1..=AccessSeen::PATH).contains(&path.len())));
            assert!([read.bytes, read.offset].into_iter().flatten().all(|number| number < 1 << 53));
        }
    }
}

/// Kubo's log of requests: what is new of it is not new again once something came behind it, and where reading has come to is read as it was written.
pub fn request_log(bytes: &[u8]) {
    let Ok(log) = serde_json::from_slice::<Vec<Asked>>(bytes) else { return };
    for read in log.iter().flat_map(requests::wanted) {
        assert!([read.bytes, read.offset].into_iter().flatten().all(|number| number < 1 << 53));
    }
    let (fresh, cursor) = requests::new(None, &log);
    assert_eq!(fresh.len(), log.len());
    let Some(cursor) = cursor else { return };
    assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
    let Some(newest) = log.iter().max_by_key(|asked| asked.id).filter(|newest| newest.id < u64::MAX) else { return };
    let later: Vec<Asked> = log.iter().cloned().chain([Asked { id: newest.id + 1, ..newest.clone() }]).collect();
    assert_eq!(requests::new(Some(cursor), &later).0.len(), 1);
}
