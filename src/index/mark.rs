//! What people say of a CID: tags, a note, a tier. Pure: limits, what a change makes of a mark, and nothing of where it is kept.

use crate::cid::Cid;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The longest tag, in bytes.
pub const TAG: usize = 64;
/// Tags of one CID.
pub const TAGS: usize = 64;
/// The longest note, in bytes.
pub const NOTE: usize = 4096;
/// The longest name of a tier, in bytes.
pub const TIER: usize = 32;

/// All that was said of one CID, pinned or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Exactly this CID: v0 and v1 of a block are marked apart, as they are pinned apart.
    pub cid: Cid,
    /// Sorted.
    pub tags: BTreeSet<String>,
    /// Never empty.
    pub note: Option<String>,
    /// Never empty.
    pub tier: Option<String>,
    /// When it was said last, in whole microseconds.
    pub at: Timestamp,
}

/// What is to be said of a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These tags come, those go.
    Tags {
        /// New ones.
        add: BTreeSet<String>,
        /// Old ones.
        remove: BTreeSet<String>,
    },
    /// This note; `None` takes it away.
    Note(Option<String>),
    /// This tier; `None` takes it away.
    Tier(Option<String>),
    /// Nothing: somebody only asks.
    Nothing,
}

impl What {
    /// Checks tags; what cannot be taken is answered with a sentence.
    pub fn tags(add: Vec<String>, remove: Vec<String>) -> Result<What, String> {
        if add.is_empty() && remove.is_empty() {
            return Ok(What::Nothing);
        }
        add.iter().chain(&remove).try_for_each(|tag| check_tag(tag))?;
        let (add, remove): (BTreeSet<_>, BTreeSet<_>) = (add.into_iter().collect(), remove.into_iter().collect());
        match add.intersection(&remove).next() {
            Some(both) => Err(format!("the tag {both:?} is to come and to go")),
            None => Ok(What::Tags { add, remove }),
        }
    }

    /// Checks a note; an empty one takes the old one away, and none asks for it.
    pub fn note(note: Option<String>) -> Result<What, String> {
        let Some(note) = note else { return Ok(What::Nothing) };
        if note.len() > NOTE {
            return Err(format!("a note is at most {NOTE} bytes long, and this one has {}", note.len()));
        }
        if note.contains(char::is_control) {
            return Err("a note is one line of text, without control characters".to_owned());
        }
        Ok(What::Note(Some(note).filter(|note| !note.is_empty())))
    }

    /// Checks a tier, as [`What::note`] a note.
    pub fn tier(tier: Option<String>) -> Result<What, String> {
        let Some(tier) = tier else { return Ok(What::Nothing) };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if tier.len() > TIER || !tier.chars().all(plain) {
            return Err(format!(
                "a tier is at most {TIER} letters a-z, digits, '_' and '-', and this is {:?}",
                brief(&tier)
            ));
        }
        Ok(What::Tier(Some(tier).filter(|tier| !tier.is_empty())))
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{:?} is no tag: {why}", brief(tag)));
    if tag.is_empty() || tag.len() > TAG {
        return refuse(&format!("a tag has 1 to {TAG} bytes, and this one has {}", tag.len()));
    }
    if tag.contains(char::is_control) || tag.contains(';') {
        return refuse("a tag has no control characters, and no semicolon, which stands between tags");
    }
    if tag.starts_with(['+', '-']) || tag.trim() != tag {
        return refuse("a tag begins with neither '+' nor '-', and has no space at its ends");
    }
    Ok(())
}

/// Enough of a text to know it again.
fn brief(text: &str) -> String {
    text.chars().take(TAG).collect()
}

impl Mark {
    /// Nothing was said yet.
    pub fn none(cid: Cid) -> Mark {
        Mark { cid, tags: BTreeSet::new(), note: None, tier: None, at: Timestamp::UNIX_EPOCH }
    }

    /// Whether there is nothing to keep.
    pub fn is_blank(&self) -> bool {
        self.tags.is_empty() && self.note.is_none() && self.tier.is_none()
    }

    /// Whether somebody could have said it.
    pub fn check(&self) -> Result<(), String> {
        if self.is_blank() {
            return Err("it says nothing".to_owned());
        }
        if self.tags.len() > TAGS {
            return Err(format!("a CID has at most {TAGS} tags, and this one has {}", self.tags.len()));
        }
        self.tags.iter().try_for_each(|tag| check_tag(tag))?;
        match (What::note(self.note.clone())?, What::tier(self.tier.clone())?) {
            (What::Note(None), _) => Err("its note is empty".to_owned()),
            (_, What::Tier(None)) => Err("its tier is empty".to_owned()),
            _ => Ok(()),
        }
    }

    /// The mark after this is said; `None` when it is so already.
    pub fn with(&self, what: What, at: Timestamp) -> Result<Option<Mark>, String> {
        let mut after = self.clone();
        match what {
            What::Tags { add, remove } => {
                after.tags.retain(|tag| !remove.contains(tag));
                after.tags.extend(add);
                if after.tags.len() > TAGS {
                    return Err(format!("a CID has at most {TAGS} tags, and this one would have {}", after.tags.len()));
                }
            }
            What::Note(note) => after.note = note,
            What::Tier(tier) => after.tier = tier,
            What::Nothing => {}
        }
        if after == *self {
            return Ok(None);
        }
        // What the file keeps of a time, so that a mark reads back as it was written.
        after.at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        Ok(Some(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some() -> Mark {
        Mark::none(crate::cid::parse("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e").expect("a CID"))
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn tags_come_and_go_and_what_is_so_already_is_no_change() {
        let at = Timestamp::UNIX_EPOCH;
        let said = |mark: &Mark, add: &[&str], remove: &[&str]| {
            mark.with(What::tags(words(add), words(remove)).expect("taken"), at).expect("taken")
        };
        let two = said(&some(), &["b", "a", "b"], &["never there"]).expect("a change");
        assert_eq!(two.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(said(&two, &["a"], &["c"]), None);
        assert!(said(&two, &[], &["a", "b"]).expect("a change").is_blank());
        assert_eq!(What::tags(vec![], vec![]), Ok(What::Nothing));
        assert_eq!(two.with(What::Nothing, at), Ok(None));
    }

    #[test]
    fn an_empty_note_or_tier_takes_the_old_one_away() {
        let at = Timestamp::UNIX_EPOCH;
        let note = |text: &str| What::note(Some(text.to_owned())).expect("taken");
        let tier = |text: &str| What::tier(Some(text.to_owned())).expect("taken");
        let noted = some().with(note("hello, world"), at).expect("taken").expect("a change");
        assert_eq!(noted.note.as_deref(), Some("hello, world"));
        let both = noted.with(tier("cold-2"), at).expect("taken").expect("a change");
        assert_eq!((both.note.as_deref(), both.tier.as_deref()), (Some("hello, world"), Some("cold-2")));
        let bare = both.with(note(""), at).expect("taken").and_then(|mark| mark.with(tier(""), at).expect("taken"));
        assert!(bare.expect("a change").is_blank());
    }

    #[test]
    fn what_cannot_be_taken_is_refused_in_a_sentence() {
        let long = "x".repeat(TAG + 1);
        for wrong in ["", &long, "a\nb", "a;b", "+a", "-a", " a", "a\u{9b}1m"] {
            assert!(What::tags(words(&[wrong]), vec![]).is_err(), "{wrong:?}");
            assert!(What::tags(vec![], words(&[wrong])).is_err(), "{wrong:?}");
        }
        assert_eq!(What::tags(words(&["a"]), words(&["a"])), Err("the tag \"a\" is to come and to go".to_owned()),);
        assert!(What::note(Some("é".repeat(NOTE / 2))).is_ok() && What::note(Some("é".repeat(NOTE / 2 + 1))).is_err());
        assert!(What::note(Some("two\nlines".to_owned())).is_err());
        for wrong in ["Hot", "a b", "ä", &"x".repeat(TIER + 1)] {
            assert!(What::tier(Some(wrong.to_owned())).is_err(), "{wrong:?}");
        }
        let many: Vec<_> = (0..=TAGS).map(|n| n.to_string()).collect();
        let full = some().with(What::tags(many[1..].to_vec(), vec![]).expect("taken"), Timestamp::UNIX_EPOCH);
        let full = full.expect("as many as may be").expect("a change");
        let one_more =
            |remove| full.with(What::tags(vec!["0".to_owned()], remove).expect("taken"), Timestamp::UNIX_EPOCH);
        assert!(one_more(vec![]).expect_err("too many").contains("would have 65"));
        assert!(one_more(vec!["1".to_owned()]).is_ok(), "one goes, one comes");
    }

    #[test]
    fn a_mark_from_elsewhere_keeps_to_what_can_be_said() {
        let sound = Mark { tags: ["a".to_owned()].into(), note: Some("b".to_owned()), ..some() };
        assert_eq!(sound.check(), Ok(()));
        let wrong = [
            some(),
            Mark { tags: ["c\u{1b}[31mred".to_owned()].into(), ..some() },
            Mark { tags: (0..=TAGS).map(|n| n.to_string()).collect(), ..some() },
            Mark { note: Some("x".repeat(NOTE + 1)), ..some() },
            Mark { note: Some(String::new()), ..sound.clone() },
            Mark { tier: Some(String::new()), ..sound.clone() },
            Mark { tier: Some("Hot".to_owned()), ..sound.clone() },
        ];
        for mark in wrong {
            assert!(mark.check().is_err(), "{mark:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_keeps_within_the_limits(tag in any::<String>(), note in any::<String>(), tier in any::<String>()) {
            if let Ok(What::Tags { add, .. }) = What::tags(vec![tag], vec![]) {
                prop_assert!(add.iter().all(|tag| !tag.is_empty() && tag.len() <= TAG && tag.lines().count() == 1));
            }
            if let Ok(What::Note(Some(note))) = What::note(Some(note)) {
                prop_assert!(!note.is_empty() && note.len() <= NOTE);
            }
            if let Ok(What::Tier(Some(tier))) = What::tier(Some(tier)) {
                prop_assert!(!tier.is_empty() && tier.len() <= TIER);
            }
        }
    }
}
