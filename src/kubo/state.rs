//! What to do about Kubo: events in, effects out. Pure: no I/O, no clock, no randomness.
//!
//! The machine has at most one child by construction (it spawns only while it has none), sends each child at most one stop
//! signal, and kills only a child that was asked to stop and did not by the deadline. Slow is not dead: a child that does not
//! answer, or takes long to become ready, is reported as degraded and left alone.

use super::cause;
use super::restart::Restarts;
use proto_msgs::kubo::{Held, KuboState};
use std::time::Duration;

/// What a person, or the end of the daemon, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Kubo runs.
    Run,
    /// Kubo is stopped until somebody asks for a start.
    Stop,
    /// The daemon ends: Kubo is stopped for good.
    End,
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A person asks for a start.
    StartAsked,
    /// A person asks for a stop.
    StopAsked,
    /// A person asks for a restart.
    RestartAsked,
    /// The daemon ends.
    DaemonEnds,
    /// Lock, repo and program were looked at: a start may be tried, or why not.
    Judged(Result<(), Held>),
    /// There is a child.
    Spawned,
    /// There is none, because the program cannot be started.
    NotSpawned(Held),
    /// The child says, or its API shows, that it is ready.
    Ready,
    /// The API answered with the expected PeerID.
    ProbeGood,
    /// It did not.
    ProbeBad,
    /// The child has ended; `permanent` when trying again would not help.
    Exited {
        /// Why it is of no use to try again.
        permanent: Option<Held>,
    },
    /// The time that [`Machine::timer`] named has come.
    Timer,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look at lock, repo and program, and answer with [`Event::Judged`].
    Judge,
    /// Start the child.
    Spawn,
    /// Send the one stop signal.
    Terminate,
    /// End it at once.
    Kill,
}

/// Times that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the stop signal to SIGKILL.
    pub stop_grace: Duration,
    /// From the spawn to ready; a child that takes longer is degraded until it is ready after all.
    pub start_timeout: Duration,
}

/// A held start is judged again so soon: looking is cheap, and the cause may have gone.
const JUDGE_AGAIN: Duration = Duration::from_secs(1);
/// So many bad probes in a row make a running Kubo degraded ...
const BAD_PROBES: u32 = 3;
/// ... and so many good ones make it running again.
const GOOD_PROBES: u32 = 2;

#[derive(Clone, Copy, Debug)]
struct Child {
    ready_at: Option<Duration>,
    asked_to_stop: bool,
}

/// The state of one Kubo. Times are since the start of the daemon.
#[derive(Clone, Debug)]
pub struct Machine {
    state: KuboState,
    held: Option<Held>,
    want: Want,
    child: Option<Child>,
    /// An effect whose answer is awaited: `Judge` or `Spawn`.
    pending: Option<Effect>,
    timer: Option<Duration>,
    restarts: Restarts,
    probes: (u32, u32),
}

impl Machine {
    /// Before anything: Kubo is wanted, and the first thing to do is to judge.
    pub fn new() -> Machine {
        Machine {
            state: KuboState::Backoff,
            held: None,
            want: Want::Run,
            child: None,
            pending: None,
            timer: Some(Duration::ZERO),
            restarts: Restarts::default(),
            probes: (0, 0),
        }
    }

    /// Before anything, when somebody has asked a former daemon for a stop: nothing is done until a start is asked for.
    pub fn stays_stopped() -> Machine {
        Machine { state: KuboState::Stopped, want: Want::Stop, timer: None, ..Machine::new() }
    }

    /// Where Kubo is.
    pub fn state(&self) -> KuboState {
        self.state
    }

    /// Why it is held.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// What is wanted.
    pub fn want(&self) -> Want {
        self.want
    }

    /// Whether the child has been ready and was not asked to stop, so that calls to it make sense.
    pub fn takes_calls(&self) -> bool {
        self.child.is_some_and(|child| child.ready_at.is_some() && !child.asked_to_stop)
    }

    /// Whether there is a child.
    pub fn has_child(&self) -> bool {
        self.child.is_some()
    }

    /// Whether the answer to an effect is awaited.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether there is no child, and none is on its way.
    pub fn is_at_rest(&self) -> bool {
        !self.has_child() && !self.is_busy()
    }

    /// When to send [`Event::Timer`].
    pub fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// When the next start is tried, for people.
    pub fn next_try(&self) -> Option<Duration> {
        let waits = match self.state {
            KuboState::Backoff | KuboState::CrashLoop => true,
            KuboState::Held => self.held.as_ref().is_some_and(is_paced),
            _ => false,
        };
        self.timer.filter(|_| waits)
    }

    /// Goes on after the actor was restarted, which has lost the answer to whatever was pending. `alive`: the child is there.
    pub fn resume(&mut self, now: Duration, alive: bool, jitter: f64, limits: Limits) -> Vec<Effect> {
        let pending = self.pending.take();
        match (self.child.is_some(), alive) {
            (false, true) => self.on(Event::Spawned, now, jitter, limits),
            (true, false) => self.on(Event::Exited { permanent: None }, now, jitter, limits),
            (false, false) if pending.is_some() => self.judge(),
            _ => Vec::new(),
        }
    }

    /// Takes an event at `now`.
    pub fn on(&mut self, event: Event, now: Duration, jitter: f64, limits: Limits) -> Vec<Effect> {
        match event {
            Event::StartAsked => {
                if self.want == Want::End {
                    return Vec::new();
                }
                self.want = Want::Run;
                self.restarts.forgive();
                self.try_start()
            }
            Event::StopAsked => self.stop(Want::Stop, now, limits),
            Event::DaemonEnds => self.stop(Want::End, now, limits),
            Event::RestartAsked => {
                if self.want == Want::End {
                    return Vec::new();
                }
                self.want = Want::Run;
                self.restarts.forgive();
                if self.child.is_some() { self.terminate(now, limits) } else { self.try_start() }
            }
            Event::Judged(judgement) => self.judged(judgement, now, jitter),
            Event::Spawned => self.spawned(now, limits),
            Event::NotSpawned(held) => {
                self.pending = None;
                if self.want == Want::Run { self.hold(held, now, jitter) } else { self.stopped() }
            }
            Event::Ready => self.ready(now),
            Event::ProbeGood => self.probed(true, now),
            Event::ProbeBad => self.probed(false, now),
            Event::Exited { permanent } => self.exited(permanent, now, jitter),
            Event::Timer => self.timer_came(now),
        }
    }

    fn enter(&mut self, state: KuboState) {
        self.state = state;
        if state != KuboState::Held {
            self.held = None;
        }
    }

    fn judge(&mut self) -> Vec<Effect> {
        self.pending = Some(Effect::Judge);
        self.timer = None;
        vec![Effect::Judge]
    }

    fn try_start(&mut self) -> Vec<Effect> {
        if self.child.is_some() || self.pending.is_some() { Vec::new() } else { self.judge() }
    }

    fn judged(&mut self, judgement: Result<(), Held>, now: Duration, jitter: f64) -> Vec<Effect> {
        if self.pending != Some(Effect::Judge) {
            return Vec::new();
        }
        self.pending = None;
        match judgement {
            _ if self.want != Want::Run => self.stopped(),
            Err(held) => self.hold(held, now, jitter),
            Ok(()) => {
                self.pending = Some(Effect::Spawn);
                self.enter(KuboState::Starting);
                vec![Effect::Spawn]
            }
        }
    }

    fn hold(&mut self, held: Held, now: Duration, jitter: f64) -> Vec<Effect> {
        let wait = if is_paced(&held) { self.restarts.ended(now, None, jitter).after } else { JUDGE_AGAIN };
        self.enter(KuboState::Held);
        self.held = Some(held);
        self.timer = Some(now + wait);
        Vec::new()
    }

    fn stopped(&mut self) -> Vec<Effect> {
        self.enter(KuboState::Stopped);
        self.timer = None;
        Vec::new()
    }

    fn spawned(&mut self, now: Duration, limits: Limits) -> Vec<Effect> {
        self.pending = None;
        self.timer = Some(now + limits.start_timeout);
        self.probes = (0, 0);
        self.child = Some(Child { ready_at: None, asked_to_stop: false });
        self.enter(KuboState::Starting);
        // A stop was asked for while the start was under way.
        if self.want == Want::Run { Vec::new() } else { self.terminate(now, limits) }
    }

    fn ready(&mut self, now: Duration) -> Vec<Effect> {
        if let Some(child) = &mut self.child
            && child.ready_at.is_none()
            && !child.asked_to_stop
        {
            child.ready_at = Some(now);
            self.timer = None;
            self.probes = (0, 0);
            self.enter(KuboState::Running);
        }
        Vec::new()
    }

    fn probed(&mut self, good: bool, now: Duration) -> Vec<Effect> {
        let (goods, bads) = self.probes;
        self.probes = if good { (goods + 1, 0) } else { (0, bads + 1) };
        if !self.takes_calls() {
            // An API that answers is ready; one that doesn't yet is no news.
            return if good { self.ready(now) } else { Vec::new() };
        }
        if self.probes.1 >= BAD_PROBES {
            self.enter(KuboState::Degraded);
        } else if self.probes.0 >= GOOD_PROBES {
            self.enter(KuboState::Running);
        }
        Vec::new()
    }

    fn stop(&mut self, want: Want, now: Duration, limits: Limits) -> Vec<Effect> {
        if self.want != Want::End {
            self.want = want;
        }
        if self.child.is_some() {
            self.terminate(now, limits)
        } else if self.pending.is_some() {
            // The answer to what is pending finds out that nobody wants it any more.
            Vec::new()
        } else {
            self.stopped()
        }
    }

    fn terminate(&mut self, now: Duration, limits: Limits) -> Vec<Effect> {
        self.enter(KuboState::Stopping);
        match &mut self.child {
            Some(child) if !child.asked_to_stop => {
                child.asked_to_stop = true;
                self.timer = Some(now + limits.stop_grace);
                vec![Effect::Terminate]
            }
            _ => Vec::new(),
        }
    }

    fn exited(&mut self, permanent: Option<Held>, now: Duration, jitter: f64) -> Vec<Effect> {
        let Some(child) = self.child.take() else { return Vec::new() };
        self.timer = None;
        if self.want != Want::Run {
            return self.stopped();
        }
        if child.asked_to_stop {
            // A restart was asked for.
            self.enter(KuboState::Backoff);
            return self.judge();
        }
        if let Some(held) = permanent {
            return self.hold(held, now, jitter);
        }
        let ready = child.ready_at.map(|at| now.saturating_sub(at));
        let retry = self.restarts.ended(now, ready, jitter);
        self.enter(if retry.crash_loop { KuboState::CrashLoop } else { KuboState::Backoff });
        self.timer = Some(now + retry.after);
        Vec::new()
    }

    fn timer_came(&mut self, now: Duration) -> Vec<Effect> {
        if self.timer.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.timer = None;
        match (self.state, self.child) {
            (KuboState::Stopping, Some(_)) => vec![Effect::Kill],
            (KuboState::Starting, Some(_)) => {
                self.enter(KuboState::Degraded);
                Vec::new()
            }
            (KuboState::Backoff | KuboState::CrashLoop | KuboState::Held, None) => self.try_start(),
            _ => Vec::new(),
        }
    }
}

fn is_paced(held: &Held) -> bool {
    // A start is not cheap: it is tried again as slowly as after a crash.
    cause::shows_by_a_start(&held.cause)
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { stop_grace: Duration::from_secs(60), start_timeout: Duration::from_secs(600) };

    fn because(cause: &str) -> Held {
        Held { cause: cause.into(), detail: "held".into(), hint: "wait".into() }
    }

    fn held() -> Held {
        because("lock_live")
    }

    fn at(machine: &mut Machine, ms: u64, event: Event) -> Vec<Effect> {
        machine.on(event, Duration::from_millis(ms), 0.5, LIMITS)
    }

    fn running() -> Machine {
        let mut m = Machine::new();
        assert_eq!(at(&mut m, 0, Event::Timer), [Effect::Judge]);
        assert_eq!(at(&mut m, 1, Event::Judged(Ok(()))), [Effect::Spawn]);
        assert_eq!(at(&mut m, 2, Event::Spawned), []);
        assert_eq!(at(&mut m, 3, Event::Ready), []);
        assert_eq!(m.state(), KuboState::Running);
        m
    }

    #[test]
    fn a_killed_kubo_is_judged_and_started_again_after_200_ms() {
        let mut m = running();
        assert_eq!(at(&mut m, 60_000, Event::Exited { permanent: None }), []);
        assert_eq!(m.state(), KuboState::Backoff);
        assert_eq!(m.next_try(), Some(Duration::from_millis(60_200)));
        assert_eq!(at(&mut m, 60_100, Event::Timer), []);
        assert_eq!(at(&mut m, 60_200, Event::Timer), [Effect::Judge]);
    }

    #[test]
    fn a_stop_is_one_signal_then_a_kill_at_the_deadline() {
        let mut m = running();
        assert_eq!(at(&mut m, 1000, Event::StopAsked), [Effect::Terminate]);
        assert_eq!(at(&mut m, 1100, Event::StopAsked), []);
        assert_eq!(at(&mut m, 1200, Event::DaemonEnds), []);
        assert_eq!(at(&mut m, 60_999, Event::Timer), []);
        assert_eq!(at(&mut m, 61_000, Event::Timer), [Effect::Kill]);
        assert_eq!(at(&mut m, 61_001, Event::Exited { permanent: None }), []);
        assert_eq!(m.state(), KuboState::Stopped);
        assert_eq!(at(&mut m, 61_002, Event::StartAsked), [], "the daemon is ending");
    }

    #[test]
    fn a_stop_asked_for_during_the_start_stops_the_child_that_comes() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        at(&mut m, 1, Event::Judged(Ok(())));
        assert_eq!(at(&mut m, 2, Event::StopAsked), []);
        assert_eq!(at(&mut m, 3, Event::Spawned), [Effect::Terminate]);
    }

    #[test]
    fn a_held_start_is_judged_again_and_starts_when_the_cause_has_gone() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        assert_eq!(at(&mut m, 1, Event::Judged(Err(held()))), []);
        assert_eq!((m.state(), m.held()), (KuboState::Held, Some(&held())));
        assert_eq!(at(&mut m, 1001, Event::Timer), [Effect::Judge]);
        assert_eq!(m.state(), KuboState::Held, "nothing flaps while it looks");
        assert_eq!(at(&mut m, 1002, Event::Judged(Ok(()))), [Effect::Spawn]);
        assert_eq!(m.held(), None);
    }

    #[test]
    fn a_restart_stops_and_starts_without_a_wait() {
        let mut m = running();
        assert_eq!(at(&mut m, 1000, Event::RestartAsked), [Effect::Terminate]);
        assert_eq!(at(&mut m, 1500, Event::Exited { permanent: None }), [Effect::Judge]);
    }

    #[test]
    fn slow_is_not_dead() {
        let mut m = running();
        for ms in 0..100 {
            assert_eq!(at(&mut m, 1000 + ms, Event::ProbeBad), []);
        }
        assert_eq!(m.state(), KuboState::Degraded);
        at(&mut m, 2000, Event::ProbeGood);
        assert_eq!(m.state(), KuboState::Degraded);
        at(&mut m, 2001, Event::ProbeGood);
        assert_eq!(m.state(), KuboState::Running);
    }

    #[test]
    fn probes_that_failed_before_ready_do_not_count_afterwards() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        at(&mut m, 1, Event::Judged(Ok(())));
        at(&mut m, 2, Event::Spawned);
        for ms in 3..9 {
            at(&mut m, ms, Event::ProbeBad);
            assert_eq!((m.state(), m.takes_calls()), (KuboState::Starting, false));
        }
        at(&mut m, 10, Event::Ready);
        at(&mut m, 11, Event::ProbeBad);
        assert_eq!((m.state(), m.takes_calls()), (KuboState::Running, true));
    }

    #[test]
    fn a_start_that_takes_too_long_is_degraded_and_still_becomes_ready() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        at(&mut m, 1, Event::Judged(Ok(())));
        at(&mut m, 2, Event::Spawned);
        assert_eq!(at(&mut m, 600_001, Event::Timer), []);
        assert_eq!(m.state(), KuboState::Starting);
        assert_eq!(at(&mut m, 600_002, Event::Timer), []);
        assert_eq!((m.state(), m.takes_calls()), (KuboState::Degraded, false));
        assert_eq!(at(&mut m, 700_000, Event::Ready), []);
        assert_eq!((m.state(), m.takes_calls()), (KuboState::Running, true));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_tried_as_slowly_as_crashes() {
        let mut m = Machine::new();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            assert_eq!(at(&mut m, now, Event::Timer), [Effect::Judge]);
            assert_eq!(at(&mut m, now, Event::Judged(Ok(()))), [Effect::Spawn]);
            at(&mut m, now, Event::Spawned);
            at(&mut m, now, Event::Exited { permanent: Some(because("binary_unusable")) });
            assert_eq!(m.state(), KuboState::Held);
            let next = m.next_try().expect("it is said when").as_millis() as u64;
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [200, 1000, 2000, 4000, 300_000, 300_000]);
    }

    #[test]
    fn a_restarted_actor_goes_on_with_the_child_that_is_there() {
        let mut m = running();
        assert_eq!(m.resume(Duration::from_secs(9), true, 0.5, LIMITS), []);
        assert_eq!(m.state(), KuboState::Running);
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        assert_eq!(m.resume(Duration::from_secs(9), false, 0.5, LIMITS), [Effect::Judge]);
    }

    /// The world around the machine: a child that is there or not, and what it was sent.
    #[derive(Default)]
    struct World {
        child: Option<u32>,
        judging: bool,
        spawning: bool,
        signals: u32,
        now: u64,
    }

    impl World {
        fn act(&mut self, effects: Vec<Effect>) {
            for effect in effects {
                match effect {
                    Effect::Judge => self.judging = true,
                    Effect::Spawn => {
                        assert!(self.child.is_none() && !self.spawning, "a second child");
                        self.spawning = true;
                    }
                    Effect::Terminate => {
                        assert!(self.child.is_some(), "a signal to nobody");
                        self.signals += 1;
                        assert_eq!(self.signals, 1, "a second stop signal");
                    }
                    Effect::Kill => assert_eq!(self.signals, 1, "killed without having been asked"),
                }
            }
        }

        fn step(&mut self, m: &mut Machine, choice: u8) {
            self.now += 1 + u64::from(choice) * 40;
            let event = match choice % 12 {
                0 => Event::StartAsked,
                1 => Event::StopAsked,
                2 => Event::RestartAsked,
                3 if self.judging => Event::Judged(Err(held())),
                3 | 4 if self.judging => Event::Judged(Ok(())),
                5 if self.spawning => Event::NotSpawned(held()),
                5 | 6 if self.spawning => Event::Spawned,
                7 if self.child.is_some() => Event::Exited { permanent: None },
                8 if self.child.is_some() => Event::Ready,
                8 if self.spawning => Event::Spawned,
                11 if self.child.is_some() => Event::Exited { permanent: Some(because("binary_unusable")) },
                9 => Event::ProbeBad,
                10 => Event::ProbeGood,
                _ => Event::Timer,
            };
            self.happen(m, event);
        }

        fn happen(&mut self, m: &mut Machine, event: Event) {
            match event {
                Event::Judged(_) => self.judging = false,
                Event::NotSpawned(_) => self.spawning = false,
                Event::Spawned => {
                    self.spawning = false;
                    self.child = Some(1);
                    self.signals = 0;
                }
                Event::Exited { .. } => self.child = None,
                _ => {}
            }
            let effects = at(m, self.now, event);
            self.act(effects);
        }

        /// No more faults: everything that is asked is answered well.
        fn calm(&mut self, m: &mut Machine) {
            self.happen(m, Event::StartAsked);
            for _ in 0..20 {
                self.now = self.now.max(m.timer().map_or(0, |t| t.as_millis() as u64)) + 1;
                let event = match () {
                    () if self.judging => Event::Judged(Ok(())),
                    () if self.spawning => Event::Spawned,
                    () if m.state() == KuboState::Stopping => Event::Exited { permanent: None },
                    () if self.child.is_some() => Event::ProbeGood,
                    () => Event::Timer,
                };
                self.happen(m, event);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn any_sequence_keeps_one_child_and_one_signal_and_ends_running_once_faults_stop(choices in prop::collection::vec(0u8..96, 0..200)) {
            let (mut m, mut world) = (Machine::new(), World::default());
            for choice in choices {
                world.step(&mut m, choice);
                prop_assert_eq!(m.has_child(), world.child.is_some());
            }
            world.calm(&mut m);
            prop_assert_eq!(m.state(), KuboState::Running);
        }
    }
}
