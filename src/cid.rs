//! CIDs: any form in, Kubo's own form out, and the key under which the index holds one.

use ::cid::{CidGeneric, Version, multibase, multibase::Base};
use proto_msgs::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const SHA2_256: u64 = 0x12;
const HASHED: u32 = 1;
const V1: u32 = 2;
const CODEC_SHIFT: u32 = 2;
const CODEC_LIMIT: u64 = (1 << 28) - 1;

/// A CID whose digest has at most 128 bytes: Kubo pins identity CIDs of that length, which the crate's own type cannot hold.
pub type Cid = CidGeneric<128>;

/// Identifies a CID in memory, 36 bytes whatever the CID's length, ordered by the digest of its block: v0 and v1 of one
/// block are neighbours.
///
/// `digest` is the block's digest for sha2-256, and for every other hash the SHA-256 of the multihash, which `ident` marks:
/// without that mark a block could be made whose sha2-256 digest equals the key of a foreign multihash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// See above.
    pub digest: [u8; 32],
    /// Codec, version and whether `digest` was made from the multihash.
    pub ident: u32,
}

impl Key {
    /// The key of a CID.
    pub fn of(cid: &Cid) -> Key {
        let version = if cid.version() == Version::V1 { V1 } else { 0 };
        let hash = cid.hash();
        if cid.codec() >= CODEC_LIMIT {
            // Codecs of more than 28 bits are not registered anywhere; the whole CID is hashed to stay exact all the same.
            let digest = Sha256::digest(cid.to_bytes()).into();
            return Key { digest, ident: (CODEC_LIMIT as u32) << CODEC_SHIFT | version | HASHED };
        }
        let codec = (cid.codec() as u32) << CODEC_SHIFT;
        match <[u8; 32]>::try_from(hash.digest()) {
            Ok(digest) if hash.code() == SHA2_256 => Key { digest, ident: codec | version },
            _ => Key { digest: Sha256::digest(hash.to_bytes()).into(), ident: codec | version | HASHED },
        }
    }

    /// The CID, where the key has all of it: not for foreign hashes.
    pub fn cid(&self) -> Option<Cid> {
        if self.ident & HASHED != 0 {
            return None;
        }
        let hash = ::cid::multihash::Multihash::wrap(SHA2_256, &self.digest).ok()?;
        match self.ident & V1 {
            0 => Cid::new_v0(hash).ok(),
            _ => Some(Cid::new_v1(u64::from(self.ident >> CODEC_SHIFT), hash)),
        }
    }

    /// The CID with this key, where `form` is another of the same block; `None` for a codec that is not in the key.
    pub fn cid_like(&self, form: &Cid) -> Option<Cid> {
        let codec = u64::from(self.ident >> CODEC_SHIFT);
        match self.ident & V1 {
            _ if codec == CODEC_LIMIT => None,
            0 => Cid::new_v0(*form.hash()).ok(),
            _ => Some(Cid::new_v1(codec, *form.hash())),
        }
    }

    /// The smallest key of the same block, and the largest: CIDs between them differ in codec or version only.
    pub fn block(self) -> std::ops::RangeInclusive<Key> {
        Key { ident: 0, ..self }..=Key { ident: u32::MAX, ..self }
    }
}

/// Parses a CID in any of its forms; a leading `/ipfs/` is taken too.
pub fn parse(text: &str) -> Result<Cid, Fault> {
    let bare = text.trim().trim_start_matches("/ipfs/").trim_end_matches('/');
    let shown: String = text.chars().take(100).collect();
    let invalid = |why: String| {
        Fault::new(FaultKind::Invalid, format!("{shown:?} is not a CID: {why}"))
            .hint("a CID looks like bafybei… or Qm…; `ipfs cid format` shows one in its forms")
    };
    let cid = Cid::try_from(bare).map_err(|error| invalid(error.to_string()))?;
    // The crate reads the beginning alone, and a mistyped CID must not stand for another pin.
    let whole = || multibase::decode(bare).is_ok_and(|(_, bytes)| bytes == cid.to_bytes());
    if cid.version() == Version::V0 || whole() { Ok(cid) } else { Err(invalid("something follows it".to_owned())) }
}

/// As Kubo prints it: v0 in base58, v1 in base32.
pub fn text(cid: &Cid) -> String {
    match cid.version() {
        Version::V0 => cid.to_string(),
        Version::V1 => cid.to_string_of_base(Base::Base32Lower).unwrap_or_else(|_| cid.to_string()),
    }
}

/// The multicodec's name, for the codecs that IPFS data has.
pub fn codec_name(codec: u64) -> String {
    let name = match codec {
        0x55 => "raw",
        0x70 => "dag-pb",
        0x71 => "dag-cbor",
        0x72 => "libp2p-key",
        0x78 => "git-raw",
        0x85 => "dag-jose",
        0x0129 => "dag-json",
        0x0200 => "json",
        0x51 => "cbor",
        0x90 => "eth-block",
        code => return format!("{code:#x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_cid_has_the_same_key_and_text() {
        let v1 = parse("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e").expect("a CID");
        let base58 = v1.to_string_of_base(Base::Base58Btc).expect("base58");
        assert_eq!(Key::of(&parse(&base58).expect("a CID")), Key::of(&v1));
        assert_eq!(text(&parse(&base58).expect("a CID")), text(&v1));
        assert_eq!(parse(&format!("/ipfs/{}", text(&v1))).expect("a path"), v1);
    }

    #[test]
    fn a_cid_with_something_behind_it_is_none() {
        for cid in ["bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "bafkqaaa", "f01550000"] {
            assert!(parse(cid).is_ok(), "{cid}");
            assert!(parse(&format!("{cid}aa")).is_err(), "{cid}aa");
        }
        assert!(parse("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdGaa").is_err());
    }

    #[test]
    fn a_key_gives_its_cid_back_unless_the_hash_is_foreign() {
        for text in [
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
            "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        ] {
            let cid = parse(text).expect("a CID");
            assert_eq!(Key::of(&cid).cid(), Some(cid));
        }
        let identity = parse("bafkqac3imvwgy3zao5xxe3de").expect("identity");
        assert_eq!(Key::of(&identity).cid(), None);
        let other = Cid::new_v1(0x71, *identity.hash());
        assert_eq!(Key::of(&identity).cid_like(&other), Some(identity));
    }

    #[test]
    fn the_longest_identity_cid_that_kubo_pins_is_read() {
        let longest = Cid::new_v1(0x55, ::cid::multihash::Multihash::wrap(0, &[b'a'; 128]).expect("128 bytes"));
        assert_eq!(parse(&text(&longest)).expect("a CID"), longest);
        assert_eq!(Cid::try_from(longest.to_bytes()).expect("a CID"), longest);
    }

    #[test]
    fn v0_and_v1_of_one_block_are_neighbours_and_differ() {
        let v0 = parse("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG").expect("a CID");
        let v1 = Cid::new_v1(0x70, *v0.hash());
        let (a, b) = (Key::of(&v0), Key::of(&v1));
        assert_ne!(a, b);
        assert_eq!((a.cid_like(&v1), b.cid_like(&v0)), (Some(v0), Some(v1)));
        assert_eq!(a.digest, b.digest);
        assert!(a.block().contains(&b));
    }

    #[test]
    fn a_block_whose_digest_is_the_key_of_a_foreign_multihash_has_another_key() {
        let identity = ::cid::multihash::Multihash::<128>::wrap(0, b"hello").expect("short");
        let foreign = Cid::new_v1(0x55, identity);
        let digest: [u8; 32] = Sha256::digest(identity.to_bytes()).into();
        let block = Cid::new_v1(0x55, ::cid::multihash::Multihash::<128>::wrap(SHA2_256, &digest).expect("32 bytes"));
        assert_eq!(Key::of(&foreign).digest, Key::of(&block).digest);
        assert_ne!(Key::of(&foreign), Key::of(&block));
    }
}
