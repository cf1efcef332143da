//! Kubo's unstreamed listing, `{"Keys":{"Qm…":{"Type":"recursive","Name":"x"}}}`, read twice at most: as sums, without looking
//! into a CID, and only when those differ as pins. A listing that has anything unforeseen in it is refused whole.

use crate::cid::Key;
use crate::index::set::{Keyed, Sums};
use ::cid::Cid;
use proto_msgs::pin::PinType;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// One pin of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is found by.
    pub key: Key,
    /// What is pinned.
    pub cid: Cid,
    /// How.
    pub pin_type: PinType,
    /// Its name.
    pub name: Option<String>,
}

/// Why a listing is refused.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// Not the JSON that Kubo sends.
    #[error("Kubo's listing of {0:?} pins is not what was expected")]
    Malformed(PinType, #[source] serde_json::Error),
}

/// Adds the listing's pins to the sums, unparsed.
pub fn fold(body: &[u8], pin_type: PinType, keyed: &Keyed, sums: &mut Sums) -> Result<(), ListingError> {
    each(body, pin_type, |text, name| {
        sums.add(keyed, text, pin_type, name);
        Ok(())
    })
}

/// The pins of both listings, sorted by key. A CID in both is recursive: it was retyped between the two. CIDs that cannot be
/// parsed are left out and named: one odd pin must not hide all others.
pub fn parse(recursive: &[u8], direct: &[u8]) -> Result<(Vec<Listed>, Vec<String>), ListingError> {
    let (mut listed, mut odd) = (Vec::new(), Vec::new());
    for (body, pin_type) in [(recursive, PinType::Recursive), (direct, PinType::Direct)] {
        each(body, pin_type, |text, name| {
            match Cid::try_from(text) {
                Ok(cid) => {
                    listed.push(Listed { key: Key::of(&cid), cid, pin_type, name: name.map(str::to_owned) });
                }
                Err(_) => odd.push(text.to_owned()),
            }
            Ok(())
        })?;
    }
    // Recursive ones come first and the sort is stable.
    listed.sort_by_key(|pin| pin.key);
    listed.dedup_by_key(|pin| pin.key);
    Ok((listed, odd))
}

fn each(
    body: &[u8],
    pin_type: PinType,
    mut on_pin: impl FnMut(&str, Option<&str>) -> Result<(), String>,
) -> Result<(), ListingError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Document { pin_type, on_pin: &mut on_pin }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| ListingError::Malformed(pin_type, error))
}

type OnPin<'a> = &'a mut dyn FnMut(&str, Option<&str>) -> Result<(), String>;

/// `{}` or `{"Keys":{…}}`.
struct Document<'a> {
    pin_type: PinType,
    on_pin: OnPin<'a>,
}

/// `{"<cid>":{"Type":"…","Name":"…"},…}`.
struct Keys<'a> {
    pin_type: PinType,
    on_pin: OnPin<'a>,
}

/// `{"Type":"…","Name":"…"}`, checked for its type; the value is the name.
struct Pin(PinType);

macro_rules! seed {
    ($seed:ty => $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.deserialize_map(self)
            }
        }
    };
}

seed!(Document<'_> => ());
seed!(Keys<'_> => ());
seed!(Pin => Option<Cow<'de, str>>);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != "Keys" || seen {
                return Err(serde::de::Error::custom(format!("unexpected field {key:?}")));
            }
            seen = true;
            map.next_value_seed(Keys { pin_type: self.pin_type, on_pin: &mut *self.on_pin })?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of CIDs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // A CID is never escaped, so its text is borrowed from the body.
        while let Some(cid) = map.next_key::<&'de str>()? {
            let name = map.next_value_seed(Pin(self.pin_type))?;
            (self.on_pin)(cid, name.as_deref()).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Pin {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Type and Name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut pin_type, mut name) = (None, None);
        while let Some(key) = map.next_key::<&'de str>()? {
            match key {
                "Type" => pin_type = Some(map.next_value::<&'de str>()?),
                "Name" => name = map.next_value::<Option<Text<'de>>>()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match pin_type {
            Some(found) if found == self.0.name() => Ok(name.map(|text| text.0).filter(|name| !name.is_empty())),
            found => Err(serde::de::Error::custom(format!("a pin of type {found:?} among {} ones", self.0.name()))),
        }
    }
}

/// A string, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

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
        let (listed, odd) = parse(&recursive, b"{}\n").expect("a listing");
        assert!(odd.is_empty() && listed.is_sorted_by_key(|pin| pin.key));
        let names: Vec<_> = listed.iter().map(|pin| (cid::text(&pin.cid), pin.name.clone())).collect();
        assert!(names.contains(&(V0.to_owned(), Some("a \"b\" \n ü".to_owned()))), "{names:?}");
        assert!(names.contains(&(V1.to_owned(), None)));
    }

    #[test]
    fn sums_of_a_listing_are_those_of_its_pins() {
        let keyed = Keyed::random();
        let (mut folded, mut added) = (Sums::default(), Sums::default());
        fold(&body(&[(V0, "recursive", "x"), (V1, "recursive", "")]), PinType::Recursive, &keyed, &mut folded)
            .expect("read");
        added.add(&keyed, V1, PinType::Recursive, None);
        added.add(&keyed, V0, PinType::Recursive, Some("x"));
        assert_eq!(folded, added);
    }

    #[test]
    fn a_pin_in_both_lists_is_recursive() {
        let (listed, _) = parse(&body(&[(V0, "recursive", "")]), &body(&[(V0, "direct", "")])).expect("a listing");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].pin_type, PinType::Recursive);
    }

    #[test]
    fn one_odd_cid_does_not_hide_the_others() {
        let (listed, odd) =
            parse(&body(&[("not-a-cid", "recursive", ""), (V0, "recursive", "")]), b"{}").expect("a listing");
        assert_eq!((listed.len(), odd), (1, vec!["not-a-cid".to_owned()]));
    }

    #[test]
    fn anything_unforeseen_refuses_the_whole_listing() {
        let wrong: [&[u8]; 8] = [
            b"",
            b"{\"Keys\":{\"a\":{\"Type\":\"recursive\"}",
            b"{\"Keys\":{\"a\":{\"Type\":\"direct\"}}}",
            b"{\"Keys\":{\"a\":{}}}",
            b"{\"Keys\":[]}",
            b"{\"Message\":\"boom\"}",
            b"{} {}",
            b"{\"Keys\":{},\"Keys\":{}}",
        ];
        for body in wrong {
            let text = String::from_utf8_lossy(body);
            assert!(parse(body, b"{}").is_err(), "{text}");
            assert!(fold(body, PinType::Recursive, &Keyed::random(), &mut Sums::default()).is_err(), "{text}");
        }
        assert!(parse(b"{}", b"{\"Keys\":{}}").expect("empty").0.is_empty());
    }
}
