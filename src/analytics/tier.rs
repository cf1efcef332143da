//! Which tier a pin should be on. Advice with its reasons; nothing acts on it. Pure.
//!
//! A tier costs so much for each GiB and month, for each access, and for each GiB that is read; all in one unit, which is the operator's
//! (money, or whatever a slow answer is worth). A pin of s GiB with r accesses a day costs s · storage + r · 30 · (access + s · read) a
//! month. The cheapest tier with room for it is advised, but only when that saves a share of what the pin costs now, and pays
//! back the move within a time: the rule of "rent or buy", with hysteresis against moving back and forth (Gray and Putzolu's
//! five-minute rule, SIGMOD 1987, weighs storage and accesses in the same way). A pin that came to its tier a short time ago stays.
//!
//! What it can't know: whether whole pins are read or parts of them (a read is taken as whole), and blocks that are shared with another
//! pin, which stay where they are.

use std::fmt;

const GIB: f64 = (1u64 << 30) as f64;
const DAY: f64 = 86_400.0;
/// Days in a month.
const MONTH: f64 = 30.0;

/// A place for pins.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    pub name: String,
    /// For each GiB and month.
    pub storage: f64,
    /// For each access.
    pub access: f64,
    /// For each GiB that is read; also what it costs to move it away from here.
    pub read: f64,
    /// Bytes that there is room for; `None`: no limit.
    pub room: Option<f64>,
}

/// When a move is worth it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The share of the present cost that has to be saved.
    pub saved: f64,
    /// Months within which the move has to pay back.
    pub payback: f64,
    /// Seconds that a pin stays at least.
    pub dwell: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { saved: 0.25, payback: 3.0, dwell: 7.0 * DAY }
    }
}

/// A pin, as far as its tier is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Its tier's place in the list.
    pub tier: usize,
    /// Seconds since it came there; `None` when nobody knows, which is long ago.
    pub dwelt: Option<f64>,
    /// Bytes; `None` when it was not measured.
    pub size: Option<f64>,
    /// Accesses per day; `None` without a source, or with one that has not watched for long enough.
    pub rate: Option<f64>,
}

/// What is advised.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// The tier to be on; the present one: stay.
    pub tier: usize,
    pub reason: Reason,
}

impl Advice {
    /// What a move saves a month; `None`: it stays.
    pub fn saves(&self) -> Option<f64> {
        match &self.reason {
            Reason::Move { cost, there, .. } => Some(cost - there),
            _ => None,
        }
    }
}

/// Why; as text it has the numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Nobody knows its size or how often it is read.
    Unknown { size: bool, rate: bool },
    /// It came here a short time ago.
    Dwells { dwelt: f64, dwell: f64 },
    /// No tier is cheaper.
    Cheapest { cost: f64 },
    /// Another one is, but not by enough.
    TooLittle { to: String, cost: f64, there: f64, needed: f64 },
    /// Another one is, but the move costs more than it saves in the time allowed.
    MoveCosts { to: String, moving: f64, saved: f64, months: f64 },
    /// Go there.
    Move { to: String, cost: f64, there: f64, moving: f64, gib: f64, rate: f64 },
}

/// Judges a pin; `None` when its tier is not in the list.
pub fn advise(tiers: &[Tier], policy: &Policy, pin: &Held) -> Option<Advice> {
    let here = tiers.get(pin.tier)?;
    let stay = |reason| Some(Advice { tier: pin.tier, reason });
    let (Some(size), Some(rate)) = (pin.size, pin.rate) else {
        return stay(Reason::Unknown { size: pin.size.is_none(), rate: pin.rate.is_none() });
    };
    if let Some(dwelt) = pin.dwelt.filter(|dwelt| *dwelt < policy.dwell) {
        return stay(Reason::Dwells { dwelt, dwell: policy.dwell });
    }
    let gib = size / GIB;
    let monthly = |tier: &Tier| gib * tier.storage + rate * MONTH * (tier.access + gib * tier.read);
    let cost = monthly(here);
    let others = tiers.iter().enumerate().filter(|(place, tier)| {
        *place != pin.tier && tier.room.is_none_or(|room| room >= size) && monthly(tier) < cost
    });
    let Some((place, tier)) = others.min_by(|a, b| monthly(a.1).total_cmp(&monthly(b.1))) else {
        return stay(Reason::Cheapest { cost });
    };
    let (there, to, moving) = (monthly(tier), tier.name.clone(), gib * here.read);
    if cost - there < policy.saved * cost {
        return stay(Reason::TooLittle { to, cost, there, needed: policy.saved });
    }
    if (cost - there) * policy.payback < moving {
        return stay(Reason::MoveCosts { to, moving, saved: cost - there, months: policy.payback });
    }
    Some(Advice { tier: place, reason: Reason::Move { to, cost, there, moving, gib, rate } })
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unknown { size: true, rate: true } => {
                write!(f, "neither its size nor how often it is read is known")
            }
            Reason::Unknown { size: true, .. } => write!(f, "its size is not known"),
            Reason::Unknown { .. } => write!(f, "no source has watched it for long enough to say how often it is read"),
            Reason::Dwells { dwelt, dwell } => {
                write!(f, "it came here {:.1} days ago and stays for {:.1}", dwelt / DAY, dwell / DAY)
            }
            Reason::Cheapest { cost } => write!(f, "no tier is cheaper than {cost:.4} a month"),
            Reason::TooLittle { to, cost, there, needed } => {
                write!(
                    f,
                    "{to} would cost {there:.4} instead of {cost:.4} a month, which saves less than {:.0} %",
                    needed * 100.0
                )
            }
            Reason::MoveCosts { to, moving, saved, months } => {
                write!(
                    f,
                    "{to} would save {saved:.4} a month, but the move costs {moving:.4}, more than that of {months:.0} months"
                )
            }
            Reason::Move { to, cost, there, moving, gib, rate } => write!(
                f,
                "{gib:.3} GiB, read {rate:.3} times a day, cost {there:.4} a month on {to} instead of {cost:.4}; the move costs {moving:.4} once"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tier(name: &str, storage: f64, access: f64, read: f64) -> Tier {
        Tier { name: name.to_owned(), storage, access, read, room: None }
    }

    /// A quick one, a slow one, and one that is cheap to keep and dear to read.
    fn tiers() -> Vec<Tier> {
        vec![tier("nvme", 0.10, 0.0, 0.0), tier("hdd", 0.02, 0.001, 0.0), tier("archive", 0.001, 0.1, 0.05)]
    }

    fn pin(tier: usize, gib: f64, rate: f64) -> Held {
        Held { tier, dwelt: None, size: Some(gib * GIB), rate: Some(rate) }
    }

    fn advised(pin: &Held) -> Advice {
        advise(&tiers(), &Policy::default(), pin).expect("its tier is in the list")
    }

    #[test]
    fn what_is_read_much_goes_to_the_quick_tier_and_what_is_not_to_the_cheap_one() {
        assert_eq!(advised(&pin(1, 1.0, 100.0)).tier, 0);
        assert_eq!(advised(&pin(0, 1.0, 0.5)).tier, 1);
        assert_eq!(advised(&pin(0, 100.0, 0.0)).tier, 2);
    }

    #[test]
    fn the_reason_has_the_numbers() {
        let text = advised(&pin(0, 10.0, 1.0)).reason.to_string();
        assert_eq!(
            text,
            "10.000 GiB, read 1.000 times a day, cost 0.2300 a month on hdd instead of 1.0000; the move costs 0.0000 once"
        );
        let stays = advised(&Held { dwelt: Some(DAY), ..pin(0, 10.0, 1.0) });
        assert_eq!((stays.tier, stays.reason.to_string().as_str()), (0, "it came here 1.0 days ago and stays for 7.0"));
    }

    #[test]
    fn a_small_saving_and_a_dear_move_are_no_reason_to_move() {
        // 0.1 against 0.02 + 0.03 · rate: at a rate of 2, a saving of 20 %.
        assert!(matches!(advised(&pin(0, 1.0, 2.0)).reason, Reason::TooLittle { .. }));
        let dear = [tier("far", 0.10, 0.0, 1.0), tier("near", 0.02, 0.0, 0.0)];
        let advice = advise(&dear, &Policy::default(), &pin(0, 1.0, 0.0)).expect("its tier is in the list");
        assert!(advice.tier == 0 && matches!(advice.reason, Reason::MoveCosts { .. }), "{advice:?}");
    }

    #[test]
    fn without_a_size_a_source_or_room_nothing_moves() {
        for held in [Held { size: None, ..pin(0, 1.0, 0.0) }, Held { rate: None, ..pin(0, 1.0, 0.0) }] {
            assert!(matches!(advised(&held), Advice { tier: 0, reason: Reason::Unknown { .. } }));
        }
        let mut full = tiers();
        full.iter_mut().for_each(|tier| tier.room = Some(0.0));
        let advice = advise(&full, &Policy::default(), &pin(0, 1.0, 0.0)).expect("its tier is in the list");
        assert!(matches!(advice, Advice { tier: 0, reason: Reason::Cheapest { .. } }));
        assert_eq!(advise(&[], &Policy::default(), &pin(0, 1.0, 0.0)), None);
    }

    proptest! {
        #[test]
        fn who_follows_the_advice_is_not_sent_on(start in 0usize..3, gib in 0.001f64..1_000.0, rate in 0.0f64..1_000.0) {
            let there = advised(&pin(start, gib, rate)).tier;
            prop_assert_eq!(advised(&pin(there, gib, rate)).tier, there);
        }
    }
}
