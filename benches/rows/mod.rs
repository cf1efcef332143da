//! What benches over many rows share: their CIDs, and how a figure is told.

use ipfs_kitd::cid::Cid;
use std::io::Write;
use std::time::Duration;

pub(crate) fn say(what: &str, figure: &str) {
    writeln!(std::io::stdout(), "{what:46}  {figure}").expect("written");
}

pub(crate) fn say_time(what: &str, took: Duration, limit: Duration) {
    say(what, &format!("{:9.3} s  (limit {} s)", took.as_secs_f64(), limit.as_secs_f64()));
}

pub(crate) fn nth(n: u64) -> Cid {
    let mut digest = [0; 32];
    // Spread over all keys, so that rising numbers are not rising keys.
    digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&n.to_be_bytes());
    Cid::new_v1(0x55, ::cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes"))
}
