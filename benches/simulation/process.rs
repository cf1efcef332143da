//! How one pin is read: a point process, its hidden state, and the true probability of an access in (t, t + h] given both.
//!
//! Times are seconds since the Unix epoch, rates are per second. The truth knows the parameters and the hidden state (whether a
//! source is switched on); a forecaster sees neither, so that the truth's score bounds every forecast from above and need not be
//! within reach.

use super::random::Random;
use std::f64::consts::TAU;

pub(crate) const HOUR: f64 = 3_600.0;
pub(crate) const DAY: f64 = 24.0 * HOUR;
pub(crate) const WEEK: f64 = 7.0 * DAY;
/// A Monday, midnight UTC: 2024-01-01.
pub(crate) const START: f64 = 1_704_067_200.0;

/// What a pin is read by.
#[derive(Clone, Debug)]
pub(crate) enum Process {
    /// Nobody.
    Never,
    /// Poisson.
    Steady { rate: f64 },
    /// Poisson whose rate follows the hour of the day (`swing` of 1: none at night) and the weekend (1: like any day).
    Rhythm { rate: f64, swing: f64, peak: f64, weekend: f64 },
    /// Popularity that decays since publication: rate · (1 + age / scale)^-exponent.
    Power { rate: f64, scale: f64, exponent: f64 },
    /// The same, rate · e^(-age / life).
    Fading { rate: f64, life: f64 },
    /// Hawkes with an exponential kernel: each access brings `children` further ones, e^(-decay · wait) later.
    Hawkes { rate: f64, children: f64, decay: f64 },
    /// Poisson while switched on; nothing while off.
    OnOff { rate: f64, on: f64, off: f64 },
    /// A job: once in each period, late by up to `late`, and left out now and then (`kept` is the share that is not).
    Clock { period: f64, phase: f64, late: f64, kept: f64 },
}

/// What happens next to a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Access,
    /// Nobody sees it: a switch, a job left out.
    Silent,
}

/// A process and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) process: Process,
    /// When it was published.
    pub(crate) born: f64,
    random: Random,
    last: Option<f64>,
    /// Hawkes: what the last access left of excitement, at that time.
    excited: f64,
    /// OnOff.
    on: bool,
    /// Clock: the number of the period that is next.
    tick: u64,
}

impl Source {
    pub(crate) fn new(process: Process, born: f64, mut random: Random) -> Self {
        let on = matches!(process, Process::OnOff { on, off, .. } if random.share() < on / (on + off));
        Source { process, born, random, last: None, excited: 0.0, on, tick: 0 }
    }

    /// What happens next after `now`, up to which everything has happened; by thinning (Ogata 1981) where the rate varies.
    pub(crate) fn next(&mut self, now: f64) -> Option<(f64, Happening)> {
        let random = &mut self.random;
        let mut at = now;
        match self.process {
            Process::Never => None,
            Process::Steady { rate } => Some((at + random.wait(rate), Happening::Access)),
            Process::Rhythm { rate, swing, weekend, .. } => {
                let most = (1.0 + swing * 5.0 / 3.0) * weekend.max(weekday(weekend));
                loop {
                    at += random.wait(rate * most);
                    if random.share() * most < self.process.rhythm(at) {
                        return Some((at, Happening::Access));
                    }
                }
            }
            Process::Power { .. } | Process::Fading { .. } => {
                // The wait in units of what is expected, turned back into time.
                let wanted = random.wait(1.0);
                self.process.when(at - self.born, wanted).map(|wait| (at + wait, Happening::Access))
            }
            Process::Hawkes { rate, decay, .. } => {
                let excited = |at: f64| self.last.map_or(0.0, |last| self.excited * (-decay * (at - last)).exp());
                loop {
                    let most = rate + excited(at);
                    at += random.wait(most);
                    if random.share() * most < rate + excited(at) {
                        return Some((at, Happening::Access));
                    }
                }
            }
            Process::OnOff { rate, on, .. } if self.on => {
                let (access, switch) = (at + random.wait(rate), at + random.wait(1.0 / on));
                Some(if access < switch { (access, Happening::Access) } else { (switch, Happening::Silent) })
            }
            Process::OnOff { off, .. } => Some((at + random.wait(1.0 / off), Happening::Silent)),
            Process::Clock { period, phase, late, kept } => {
                if self.tick == 0 {
                    self.tick = ((now - START - phase) / period).ceil().max(0.0) as u64;
                }
                let due = START + phase + self.tick as f64 * period;
                let what = if random.share() < kept { Happening::Access } else { Happening::Silent };
                Some((due + random.share() * late, what))
            }
        }
    }

    /// It happened.
    pub(crate) fn happened(&mut self, at: f64, what: Happening) {
        self.tick += u64::from(matches!(self.process, Process::Clock { .. }));
        if what == Happening::Silent {
            self.on = !self.on;
            return;
        }
        if let Process::Hawkes { children, decay, .. } = self.process {
            let left = self.last.map_or(0.0, |last| self.excited * (-decay * (at - last)).exp());
            self.excited = left + children * decay;
        }
        self.last = Some(at);
    }

    /// The probability of an access in (now, now + horizon], everything up to `now` having happened.
    pub(crate) fn truth(&self, now: f64, horizon: f64) -> f64 {
        let none = match self.process {
            Process::Never => 1.0,
            Process::Steady { rate } => (-rate * horizon).exp(),
            Process::Rhythm { rate, .. } => (-rate * self.process.rhythm_over(now, now + horizon)).exp(),
            Process::Power { .. } | Process::Fading { .. } => (-self.process.expected(now - self.born, horizon)).exp(),
            Process::Hawkes { rate, decay, .. } => {
                let excited = self.last.map_or(0.0, |last| self.excited * (-decay * (now - last)).exp());
                (-rate * horizon + excited / decay * (-decay * horizon).exp_m1()).exp()
            }
            Process::OnOff { rate, on, off } => none_switched(rate, 1.0 / on, 1.0 / off, self.on, horizon),
            Process::Clock { period, phase, late, kept } => {
                let mut none = 1.0;
                let mut due = START + phase + ((now - START - phase) / period).floor().max(0.0) * period;
                while due < now + horizon && none > 1e-12 {
                    let before = ((now - due) / late).clamp(0.0, 1.0);
                    if self.last.is_none_or(|last| last < due) && self.begun(due) {
                        let until = ((now + horizon - due) / late).min(1.0);
                        none *= 1.0 - kept * (until - before) / (1.0 - kept * before);
                    }
                    due += period;
                }
                none
            }
        };
        1.0 - none
    }

    /// A job begins with the first period that starts after its pin is there to be read.
    fn begun(&self, due: f64) -> bool {
        due >= self.born.max(START)
    }
}

/// The factor of a weekday, so that the week's mean is 1.
fn weekday(weekend: f64) -> f64 {
    (7.0 - 2.0 * weekend) / 5.0
}

/// P(no access within h) of a Poisson source that is switched on and off: the two backward equations u' = -(r + a) u + a v (on),
/// v' = b u - b v (off), u(0) = v(0) = 1, solved by the exponential of a 2×2 matrix.
fn none_switched(r: f64, a: f64, b: f64, on: bool, h: f64) -> f64 {
    let middle = -(r + a + b) / 2.0;
    let root = (middle * middle - r * b).sqrt();
    // The slope at 0 is -r (on) or 0 (off).
    let slope = if on { -r } else { 0.0 };
    let (quick, slow) = (middle - root, -r * b / (root - middle));
    let share = (slope - slow) / (quick - slow);
    share * (quick * h).exp() + (1.0 - share) * (slow * h).exp()
}

impl Process {
    /// The kind, as a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Process::Never => "never",
            Process::Steady { .. } => "steady",
            Process::Rhythm { .. } => "rhythm",
            Process::Power { .. } => "power",
            Process::Fading { .. } => "fading",
            Process::Hawkes { .. } => "hawkes",
            Process::OnOff { .. } => "on-off",
            Process::Clock { .. } => "clock",
        }
    }

    /// Rhythm: the factor of a moment, with a mean of 1 over the week.
    fn rhythm(&self, at: f64) -> f64 {
        let Process::Rhythm { swing, peak, weekend, .. } = *self else { return 1.0 };
        let angle = TAU * (at - START - peak) / DAY;
        let day = ((at - START) / DAY).floor().rem_euclid(7.0);
        let week = if day >= 5.0 { weekend } else { weekday(weekend) };
        week * (1.0 + swing * (4.0 * angle.cos() + (2.0 * angle).cos()) / 3.0)
    }

    /// Its integral.
    fn rhythm_over(&self, from: f64, to: f64) -> f64 {
        let Process::Rhythm { swing, peak, weekend, .. } = *self else { return to - from };
        let whole = |at: f64| {
            let angle = TAU * (at - START - peak) / DAY;
            (at - START) + swing * DAY / TAU * (4.0 * angle.sin() + (2.0 * angle).sin() / 2.0) / 3.0
        };
        let (mut at, mut sum) = (from, 0.0);
        while at < to {
            let day = ((at - START) / DAY).floor();
            let end = to.min(START + (day + 1.0) * DAY);
            let week = if day.rem_euclid(7.0) >= 5.0 { weekend } else { weekday(weekend) };
            sum += week * (whole(end) - whole(at));
            at = end;
        }
        sum
    }

    /// Decaying popularity: accesses expected within `horizon` at an age.
    fn expected(&self, age: f64, horizon: f64) -> f64 {
        match *self {
            Process::Power { rate, scale, exponent } => {
                let (grown, rest) = ((horizon / (scale + age)).ln_1p(), 1.0 - exponent);
                let sum = if rest.abs() < 1e-9 { grown } else { (rest * grown).exp_m1() / rest };
                rate * scale * (1.0 + age / scale).powf(rest) * sum
            }
            Process::Fading { rate, life } => -rate * life * (-age / life).exp() * (-horizon / life).exp_m1(),
            _ => 0.0,
        }
    }

    /// The other way: how long until so many are expected; `None` when they never are.
    fn when(&self, age: f64, expected: f64) -> Option<f64> {
        let wait = match *self {
            Process::Power { rate, scale, exponent } => {
                let rest = 1.0 - exponent;
                let sum = expected / (rate * scale * (1.0 + age / scale).powf(rest));
                let grown = if rest.abs() < 1e-9 { sum } else { (rest * sum).ln_1p() / rest };
                (scale + age) * grown.exp_m1()
            }
            Process::Fading { rate, life } => -life * (-expected / (rate * life * (-age / life).exp())).ln_1p(),
            _ => f64::NAN,
        };
        wait.is_finite().then_some(wait)
    }
}
