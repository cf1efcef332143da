//! What a CID tells by itself, and what Kubo's answers about it mean. Pure.

use crate::cid::Cid;
use crate::kubo::content::{MOST, RootStat};
use crate::kubo::rpc::RpcError;
use proto_msgs::pin::{ContentKind, SizeKind};
use std::time::Duration;

const RAW: u64 = 0x55;
const IDENTITY: u64 = 0;
/// Codecs whose blocks have no links: raw, cbor, json.
const WITHOUT_LINKS: [u64; 3] = [RAW, 0x51, 0x0200];
/// What is known of a CID's content, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Bytes, and how well they are known.
    pub size: Option<(u64, SizeKind)>,
    /// What the CID is the root of.
    pub kind: Option<ContentKind>,
}

/// What a look at a pin has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It told something.
    Found(Finding),
    /// It told nothing, and why.
    Missed(String),
    /// Kubo is not there, which says nothing of the pin.
    Gone,
}

/// What the CID tells by itself: one without a hash has its block within it, and where that can have no links it is all.
pub fn by_itself(cid: &Cid) -> Option<Finding> {
    let whole = cid.hash().code() == IDENTITY && WITHOUT_LINKS.contains(&cid.codec());
    whole.then(|| exactly(cid, cid.hash().digest().len() as u64))
}

/// What a look at the root means.
pub fn root(cid: &Cid, answer: Result<RootStat, RpcError>) -> Outcome {
    match answer {
        Ok(stat) => {
            let kind = Some(if cid.codec() == RAW { ContentKind::Raw } else { stat.kind });
            // Without links there is nothing that could be counted twice, or be left out.
            let how = if stat.links == 0 { SizeKind::Exact } else { SizeKind::Estimated };
            Outcome::Found(Finding { size: Some((stat.cumulative, how)).filter(|(size, _)| *size <= MOST), kind })
        }
        Err(error) if error.is_no_unixfs() => Outcome::Found(Finding { size: None, kind: Some(ContentKind::Other) }),
        Err(error) => missed(error),
    }
}

/// What a look at every block means.
pub fn whole(cid: &Cid, answer: Result<u64, RpcError>) -> Outcome {
    match answer {
        Ok(size) if size <= MOST => Outcome::Found(exactly(cid, size)),
        Ok(size) => Outcome::Missed(format!("Kubo counts {size} bytes, which cannot be")),
        // Kubo divides by the bytes of all blocks, and cannot write what comes of zero.
        Err(RpcError::Cut(why)) if why.contains("unsupported value: NaN") => Outcome::Found(exactly(cid, 0)),
        Err(error) => missed(error),
    }
}

/// How long a look at every block may take: longer each time, so that a huge DAG does not keep all others waiting at first.
pub fn patience(tries: u32) -> Duration {
    Duration::from_secs(60 * 4_u64.pow(tries.min(3))).min(Duration::from_secs(3600))
}

/// How long to rest after so much work, for work to take this share of the time.
pub fn rest(worked: Duration, share: f64) -> Duration {
    worked.mul_f64(1.0 / share.clamp(0.001, 1.0) - 1.0)
}

fn exactly(cid: &Cid, size: u64) -> Finding {
    // Of UnixFS the look at the root has told it.
    let kind = match cid.codec() {
        RAW => Some(ContentKind::Raw),
        0x70 => None,
        _ => Some(ContentKind::Other),
    };
    Finding { size: Some((size, SizeKind::Exact)), kind }
}

fn missed(error: RpcError) -> Outcome {
    match error {
        RpcError::Unreachable(_) => Outcome::Gone,
        error => Outcome::Missed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::cid::multihash::Multihash;

    fn cid(codec: u64, hash: u64, digest: &[u8]) -> Cid {
        Cid::new_v1(codec, Multihash::wrap(hash, digest).expect("short"))
    }

    fn sha(codec: u64) -> Cid {
        cid(codec, 0x12, &[7; 32])
    }

    fn refused(message: &str) -> RpcError {
        RpcError::Refused { status: 500, message: message.to_owned() }
    }

    fn found(size: Option<(u64, SizeKind)>, kind: Option<ContentKind>) -> Outcome {
        Outcome::Found(Finding { size, kind })
    }

    const EXACT: SizeKind = SizeKind::Exact;

    #[test]
    fn an_identity_cid_tells_its_size_unless_it_may_have_links() {
        let of = |codec, kind| (by_itself(&cid(codec, 0, b"hello")), Some(Finding { size: Some((5, EXACT)), kind }));
        let (raw, expected) = of(0x55, Some(ContentKind::Raw));
        assert_eq!(raw, expected);
        let (json, expected) = of(0x0200, Some(ContentKind::Other));
        assert_eq!(json, expected);
        assert_eq!(by_itself(&cid(0x70, 0, b"hello")), None);
        assert_eq!(by_itself(&cid(0x71, 0, b"hello")), None);
        assert_eq!(by_itself(&sha(0x55)), None);
    }

    #[test]
    fn a_root_without_links_is_exact_and_one_with_links_an_estimate() {
        let stat = |links, kind| Ok(RootStat { kind, symlink: false, size: 8, cumulative: 9, links });
        assert_eq!(root(&sha(0x55), stat(0, ContentKind::File)), found(Some((9, EXACT)), Some(ContentKind::Raw)));
        assert_eq!(root(&sha(0x70), stat(0, ContentKind::File)), found(Some((9, EXACT)), Some(ContentKind::File)));
        let estimated = Some((9, SizeKind::Estimated));
        let directory = stat(2, ContentKind::Directory);
        assert_eq!(root(&sha(0x70), directory), found(estimated, Some(ContentKind::Directory)));
    }

    #[test]
    fn a_root_that_lies_beyond_measure_is_not_believed() {
        let stat = RootStat { kind: ContentKind::File, symlink: false, size: 8, cumulative: u64::MAX, links: 1 };
        assert_eq!(root(&sha(0x70), Ok(stat)), found(None, Some(ContentKind::File)));
        assert!(matches!(whole(&sha(0x70), Ok(u64::MAX)), Outcome::Missed(_)));
    }

    #[test]
    fn a_root_that_is_no_unixfs_is_told_from_one_that_is_not_there() {
        for words in [
            "not unixfs node (proto or raw)",
            "proto: required field ipfs.boxo.ipld.unixfs.pb.Data.Type not set",
            "proto: cannot parse invalid wire-format data",
            "unrecognized node type: 9",
        ] {
            assert_eq!(root(&sha(0x70), Err(refused(words))), found(None, Some(ContentKind::Other)), "{words}");
        }
        let missing = "block was not found locally (offline): ipld: could not find QmX";
        assert!(
            matches!(root(&sha(0x70), Err(refused(missing))), Outcome::Missed(why) if why.contains("could not find"))
        );
        let slow = RpcError::Deadline(Duration::from_secs(9));
        assert!(matches!(root(&sha(0x70), Err(slow)), Outcome::Missed(_)));
        let gone = RpcError::Unreachable(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(root(&sha(0x70), Err(gone)), Outcome::Gone);
    }

    #[test]
    fn the_whole_is_exact_and_an_empty_block_too() {
        assert_eq!(whole(&sha(0x71), Ok(53)), found(Some((53, EXACT)), Some(ContentKind::Other)));
        assert_eq!(whole(&sha(0x70), Ok(53)), found(Some((53, EXACT)), None));
        let empty = RpcError::Cut("json: unsupported value: NaN".to_owned());
        assert_eq!(whole(&sha(0x70), Err(empty)), found(Some((0, EXACT)), None));
        assert!(matches!(whole(&sha(0x70), Err(RpcError::Cut("early".to_owned()))), Outcome::Missed(_)));
    }

    #[test]
    fn looks_keep_to_their_share_and_their_patience_grows_to_an_hour() {
        assert_eq!(rest(Duration::from_secs(1), 0.1), Duration::from_secs(9));
        assert_eq!(rest(Duration::from_secs(3), 1.0), Duration::ZERO);
        assert_eq!([0, 1, 2, 3, 9].map(|tries| patience(tries).as_secs()), [60, 240, 960, 3600, 3600]);
    }
}
