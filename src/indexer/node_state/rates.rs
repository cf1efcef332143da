//! What two samples tell together: how fast counters have risen. Pure.

use std::time::Instant;

/// A counter that only rises, as it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// When.
    pub at: Instant,
    /// How far it has risen.
    pub value: f64,
}

/// Counters of one run of Kubo; `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Which run.
    pub run: u64,
    /// When Kubo's process began, in ticks of the machine, which tells it from others.
    pub began: Option<u64>,
    /// Seconds that processors have worked for it.
    pub cpu: Option<Reading>,
    /// Bytes received.
    pub bytes_in: Option<Reading>,
    /// Bytes sent.
    pub bytes_out: Option<Reading>,
}

/// How fast they have risen, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Seconds that processors have worked.
    pub cpu: Option<f64>,
    /// Bytes received.
    pub bytes_in: Option<f64>,
    /// Bytes sent.
    pub bytes_out: Option<f64>,
}

impl Counters {
    /// Since the sample before, if it is of the same run.
    pub fn since(&self, before: Option<Counters>) -> Rates {
        let Some(before) = before.filter(|before| before.run == self.run) else { return Rates::default() };
        Rates {
            cpu: rate(before.cpu, self.cpu).filter(|_| before.began == self.began),
            bytes_in: rate(before.bytes_in, self.bytes_in),
            bytes_out: rate(before.bytes_out, self.bytes_out),
        }
    }
}

/// A counter that has fallen was set back, by a restart that nobody saw.
fn rate(before: Option<Reading>, now: Option<Reading>) -> Option<f64> {
    let (before, now) = (before?, now?);
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    (seconds > 0.0 && now.value >= before.value).then(|| (now.value - before.value) / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rates_are_of_two_samples_of_the_same_run_and_of_what_both_know() {
        let began = Instant::now();
        let read = |second, value| Some(Reading { at: began + Duration::from_secs(second), value });
        let before =
            Counters { run: 3, began: Some(7), cpu: read(0, 1.0), bytes_in: read(0, 100.0), bytes_out: read(2, 50.0) };
        let now = Counters { cpu: read(10, 16.0), bytes_in: read(10, 300.0), bytes_out: read(12, 50.0), ..before };
        let expected = Rates { cpu: Some(1.5), bytes_in: Some(20.0), bytes_out: Some(0.0) };
        assert_eq!(now.since(Some(before)), expected);
        assert_eq!(now.since(None), Rates::default());
        assert_eq!(Counters { run: 4, ..now }.since(Some(before)), Rates::default(), "another run");
        assert_eq!(now.since(Some(now)), Rates::default(), "no time has passed");
        let other = Counters { began: Some(8), ..now };
        assert_eq!(other.since(Some(before)), Rates { cpu: None, ..expected }, "another process");
        let fallen = Counters { bytes_in: read(10, 99.0), bytes_out: None, ..now };
        assert_eq!(fallen.since(Some(before)), Rates { cpu: expected.cpu, ..Rates::default() });
        let unknown = Counters { cpu: None, bytes_in: None, ..before };
        assert_eq!(now.since(Some(unknown)), Rates { bytes_out: Some(0.0), ..Rates::default() });
    }
}
