//! Kubo's listings. The unstreamed one, `{"Keys":{"Qm…":{"Type":"recursive","Name":"x"}}}`, is read twice at most: as sums,
//! without looking into a CID, and only when those differ as pins. The streamed one, a line `{"Cid":"Qm…","Type":"recursive"}`
//! a pin, is not kept: it is read once, as both.
//!
//! A listing that has anything unforeseen in it is refused whole: another shape, a pin of another type, a CID twice. The one
//! exception is a CID that cannot be parsed. It is left out and named, since a pin made by a newer or an odd program must not
//! stop the index from following all the others.

use crate::cid::Cid;
use crate::index::set::{Keyed, Pinned, Sums};
use proto_msgs::pin::PinType;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Both listings as pins.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by key, no key twice.
    pub pins: Vec<Pinned>,
    /// CIDs that cannot be parsed.
    pub odd: Vec<String>,
}

/// Why a listing is refused.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// Not the JSON that Kubo sends.
    #[error("Kubo's listing of {} pins is not what was expected", .0.name())]
    Malformed(PinType, #[source] serde_json::Error),
    /// Nothing can be pinned twice in one way.
    #[error("Kubo's listing of {} pins has {cid} twice", pin_type.name())]
    Twice {
        /// In which listing.
        pin_type: PinType,
        /// What.
        cid: String,
    },
}

/// Adds the pins of one listing to the sums, unparsed. A CID that stands twice in it makes the sums differ from any set's.
pub fn fold(body: &[u8], pin_type: PinType, names: bool, keyed: &Keyed, sums: &mut Sums) -> Result<(), ListingError> {
    each(body, pin_type, |cid, name| {
        if names { sums.add(keyed, cid, pin_type, name) } else { sums.add_unnamed(keyed, cid, pin_type) }
    })
}

/// The pins of both listings.
pub fn parse(recursive: &[u8], direct: &[u8]) -> Result<Listing, ListingError> {
    let mut listing = Listing::default();
    for (body, pin_type) in [(recursive, PinType::Recursive), (direct, PinType::Direct)] {
        each(body, pin_type, |cid, name| listing.push(cid, pin_type, name))?;
    }
    listing.sorted()
}

impl Listing {
    fn push(&mut self, text: &str, pin_type: PinType, name: Option<&str>) {
        match Cid::try_from(text) {
            Ok(cid) => self.pins.push(Pinned::new(cid, pin_type, name)),
            Err(_) => self.odd.push(text.to_owned()),
        }
    }

    /// Sorts it by key. A CID in both listings is recursive: it was retyped between the two, and of the two types Kubo replaces
    /// only direct by recursive in one step.
    fn sorted(mut self) -> Result<Listing, ListingError> {
        let Listing { pins, .. } = &mut self;
        // Of one key, recursive comes first.
        pins.sort_unstable_by_key(|pin| (pin.key(), pin.pin_type()));
        let twice = |two: &&[Pinned]| (two[0].key(), two[0].pin_type()) == (two[1].key(), two[1].pin_type());
        if let Some(two) = pins.windows(2).find(twice) {
            return Err(ListingError::Twice { pin_type: two[0].pin_type(), cid: crate::cid::text(&two[0].cid()) });
        }
        pins.dedup_by_key(|pin| pin.key());
        Ok(self)
    }
}

/// Streamed listings as they come in.
#[derive(Debug)]
pub struct Stream {
    keyed: Keyed,
    names: bool,
    listing: Listing,
    sums: Sums,
}

impl Stream {
    /// Nothing yet.
    pub fn new(keyed: Keyed, names: bool) -> Stream {
        Stream { keyed, names, listing: Listing::default(), sums: Sums::default() }
    }

    /// Takes the next line of the listing of this type.
    pub fn line(&mut self, line: &[u8], pin_type: PinType) -> Result<(), ListingError> {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(rename = "Cid")]
            cid: &'a str,
            #[serde(rename = "Type")]
            pin_type: &'a str,
            #[serde(rename = "Name", default, borrow)]
            name: Cow<'a, str>,
        }
        let malformed = |error| ListingError::Malformed(pin_type, error);
        let Line { cid, pin_type: found, name } = serde_json::from_slice(line).map_err(malformed)?;
        expect(cid, found, pin_type).map_err(malformed)?;
        let name = Some(&*name).filter(|name| !name.is_empty());
        if self.names {
            self.sums.add(&self.keyed, cid, pin_type, name);
        } else {
            self.sums.add_unnamed(&self.keyed, cid, pin_type);
        }
        self.listing.push(cid, pin_type, name);
        Ok(())
    }

    /// The end: sums and pins. Sums of odd CIDs are in the first alone, so that these are never taken for equal to a set's.
    pub fn end(self) -> Result<(Sums, Listing), ListingError> {
        Ok((self.sums, self.listing.sorted()?))
    }
}

/// Calls `on_pin` with the CID and the name of each pin; what was called before an error is to be forgotten.
fn each(body: &[u8], pin_type: PinType, on_pin: impl FnMut(&str, Option<&str>)) -> Result<(), ListingError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Document(Pins { pin_type, on_pin }).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| ListingError::Malformed(pin_type, error))
}

/// `{}`, which is how Kubo says that nothing is pinned, or `{"Keys":{…}}`.
struct Document<F>(Pins<F>);

/// `{"<cid>":{"Type":"…","Name":"…"},…}`.
struct Pins<F> {
    pin_type: PinType,
    on_pin: F,
}

/// What the listing says of one CID; without `names=true` the name is empty or not there.
#[derive(Deserialize)]
struct Pinning<'a> {
    #[serde(rename = "Type")]
    pin_type: &'a str,
    #[serde(rename = "Name", default, borrow)]
    name: Cow<'a, str>,
}

fn expect<E: Error>(cid: &str, found: &str, wanted: PinType) -> Result<(), E> {
    if found == wanted.name() {
        return Ok(());
    }
    Err(E::custom(format!("{cid} is {found:?} among the {} pins", wanted.name())))
}

impl<'de, F: FnMut(&str, Option<&str>)> DeserializeSeed<'de> for Document<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, Option<&str>)> Visitor<'de> for Document<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match map.next_key::<&str>()? {
            None => return Ok(()),
            Some("Keys") => map.next_value_seed(self.0)?,
            Some(field) => return Err(A::Error::custom(format!("unexpected field {field:?}"))),
        }
        match map.next_key::<&str>()? {
            None => Ok(()),
            Some(field) => Err(A::Error::custom(format!("unexpected field {field:?} after Keys"))),
        }
    }
}

impl<'de, F: FnMut(&str, Option<&str>)> DeserializeSeed<'de> for Pins<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, Option<&str>)> Visitor<'de> for Pins<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of CIDs")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // A CID needs no escapes, so its text is borrowed from the body.
        while let Some((cid, pinning)) = map.next_entry::<&str, Pinning<'_>>()? {
            expect(cid, pinning.pin_type, self.pin_type)?;
            (self.on_pin)(cid, Some(&*pinning.name).filter(|name| !name.is_empty()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid;

    const V0: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    const V1: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    fn body(pins: &[(&str, &str, &str)]) -> Vec<u8> {
        let keys: serde_json::Map<_, _> = pins
            .iter()
            .map(|(cid, pin_type, name)| ((*cid).to_owned(), serde_json::json!({"Type": pin_type, "Name": name})))
            .collect();
        serde_json::to_vec(&serde_json::json!({ "Keys": keys })).expect("JSON")
    }

    #[test]
    fn pins_are_read_with_their_names_and_sorted() {
        let recursive = body(&[(V0, "recursive", "a \"b\" \n ü"), (V1, "recursive", "")]);
        let listing = parse(&recursive, b"{}\n").expect("a listing");
        assert!(listing.odd.is_empty() && listing.pins.is_sorted_by_key(Pinned::key));
        let names: Vec<_> =
            listing.pins.iter().map(|pin| (cid::text(&pin.cid()), pin.name().map(str::to_owned))).collect();
        assert!(names.contains(&(V0.to_owned(), Some("a \"b\" \n ü".to_owned()))), "{names:?}");
        assert!(names.contains(&(V1.to_owned(), None)));
    }

    #[test]
    fn sums_of_a_listing_are_those_of_its_pins() {
        let keyed = Keyed::random();
        let (mut folded, mut added) = (Sums::default(), Sums::default());
        fold(&body(&[(V0, "recursive", "x"), (V1, "recursive", "")]), PinType::Recursive, true, &keyed, &mut folded)
            .expect("read");
        added.add(&keyed, V1, PinType::Recursive, None);
        added.add(&keyed, V0, PinType::Recursive, Some("x"));
        assert_eq!(folded, added);
    }

    #[test]
    fn a_pin_in_both_lists_is_recursive() {
        let listing = parse(&body(&[(V0, "recursive", "")]), &body(&[(V0, "direct", "")])).expect("a listing");
        let found: Vec<_> = listing.pins.iter().map(|pin| (cid::text(&pin.cid()), pin.pin_type())).collect();
        assert_eq!(found, [(V0.to_owned(), PinType::Recursive)]);
    }

    #[test]
    fn v0_and_v1_of_one_block_are_two_pins() {
        let v1 = Cid::new_v1(0x70, *cid::parse(V0).expect("a CID").hash()).to_string();
        let listing = parse(&body(&[(V0, "recursive", ""), (&v1, "recursive", "")]), b"{}").expect("a listing");
        assert_eq!(listing.pins.len(), 2);
    }

    #[test]
    fn one_odd_cid_does_not_hide_the_others() {
        let odd = body(&[("not-a-cid", "recursive", ""), (V0, "recursive", "")]);
        let listing = parse(&odd, b"{}").expect("a listing");
        assert_eq!((listing.pins.len(), listing.odd), (1, vec!["not-a-cid".to_owned()]));
    }

    #[test]
    fn a_cid_twice_in_one_list_is_no_listing_and_no_sum() {
        let twice = format!(r#"{{"Keys":{{"{V0}":{{"Type":"direct"}},"{V0}":{{"Type":"direct"}}}}}}"#);
        assert!(matches!(parse(b"{}", twice.as_bytes()), Err(ListingError::Twice { pin_type: PinType::Direct, .. })));
        let keyed = Keyed::random();
        let (mut once, mut folded) = (Sums::default(), Sums::default());
        once.add(&keyed, V0, PinType::Direct, None);
        fold(twice.as_bytes(), PinType::Direct, true, &keyed, &mut folded).expect("read");
        assert_ne!(folded, once);
    }

    #[test]
    fn anything_unforeseen_refuses_the_whole_listing() {
        let wrong = [
            r#""#,
            r#"[]"#,
            r#"{} {}"#,
            r#"{"Message":"boom"}"#,
            r#"{"Keys":[]}"#,
            r#"{"Keys":{},"Keys":{}}"#,
            r#"{"Keys":{},"More":1}"#,
            r#"{"Keys":{"a":{}}}"#,
            r#"{"Keys":{"a":{"Type":"direct"}}}"#,
            r#"{"Keys":{"a":{"Type":"recursive"}"#,
            r#"{"Keys":{"a":{"Type":"recursive","Name":7}}}"#,
            r#"{"Keys":{"a":{"Type":"recursive","Type":"recursive"}}}"#,
        ];
        for body in wrong {
            assert!(parse(body.as_bytes(), b"{}").is_err(), "{body}");
            let sums = &mut Sums::default();
            assert!(fold(body.as_bytes(), PinType::Recursive, true, &Keyed::random(), sums).is_err(), "{body}");
        }
    }

    #[test]
    fn a_stream_says_the_same_as_one_answer() {
        let keyed = Keyed::random();
        let pins = [(V0, "recursive", "x \"y\""), (V1, "recursive", ""), ("odd", "recursive", "")];
        for names in [true, false] {
            let mut sums = Sums::default();
            fold(&body(&pins), PinType::Recursive, names, &keyed, &mut sums).expect("read");
            let mut stream = Stream::new(keyed.clone(), names);
            for (cid, pin_type, name) in pins.iter().rev() {
                let line = serde_json::json!({"Cid": cid, "Name": name, "Type": pin_type, "More": [1]}).to_string();
                stream.line(line.as_bytes(), PinType::Recursive).expect("a line");
            }
            let (streamed, listing) = stream.end().expect("a listing");
            assert_eq!(streamed, sums);
            let whole = parse(&body(&pins), b"{}").expect("a listing");
            assert_eq!((listing.pins, listing.odd), (whole.pins, whole.odd));
        }
    }

    #[test]
    fn a_line_that_is_unforeseen_or_a_cid_twice_refuses_the_whole_stream() {
        let direct = format!(r#"{{"Cid":"{V0}","Type":"direct"}}"#);
        let mut stream = Stream::new(Keyed::random(), false);
        for wrong in ["", "{}", "[]", r#"{"Cid":"a"}"#, r#"{"Type":"recursive"}"#, "{} {}", direct.as_str()] {
            assert!(stream.line(wrong.as_bytes(), PinType::Recursive).is_err(), "{wrong}");
        }
        stream.line(direct.as_bytes(), PinType::Direct).expect("a line");
        stream.line(direct.as_bytes(), PinType::Direct).expect("a line");
        assert!(matches!(stream.end(), Err(ListingError::Twice { pin_type: PinType::Direct, .. })));
    }

    #[test]
    fn nothing_pinned_is_a_listing_in_each_of_its_forms() {
        for empty in ["{}", "{}\n", r#"{"Keys":{}}"#] {
            assert!(parse(b"{}", empty.as_bytes()).expect("empty").pins.is_empty());
        }
    }

    #[test]
    fn a_field_of_a_pin_that_is_not_known_is_passed_over() {
        let more = format!(r#"{{"Keys":{{"{V0}":{{"Type":"recursive","Since":{{"a":[1]}},"Name":"n"}}}}}}"#);
        assert_eq!(parse(more.as_bytes(), b"{}").expect("a listing").pins[0].name(), Some("n"));
    }
}
