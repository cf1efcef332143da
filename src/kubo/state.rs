//! What to do about Kubo: events in, effects out. Pure: no I/O, no clock, no randomness.
//!
//! The machine has at most one child by construction (it spawns only while it has none), sends each child at most one stop
//! signal, and kills only a child that was asked to stop and did not by the deadline. Slow is not dead: a child that does not
//! answer, or takes long to become ready, is reported as degraded. One that was ready and answers nothing for the whole of the
//! hang limit is restarted; one that was never ready is waited for. A Kubo that somebody else runs is followed and never
//! touched.

use super::health::{self, Health};
use super::restart::Restarts;
pub use super::step::{Effect, Event, Limits, Transition, Want};
use proto_msgs::kubo::{Held, KuboState};
use std::time::Duration;

/// A held start is judged again so soon: looking is cheap, and the cause may have gone.
const JUDGE_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Child {
    ready_at: Option<Duration>,
    asked_to_stop: bool,
    /// It was asked to stop because it did not answer, and not because anybody wanted it.
    hung: bool,
}

/// The state of one Kubo. Times are since the start of the daemon.
#[derive(Clone, Debug)]
pub struct Machine {
    state: KuboState,
    held: Option<Held>,
    /// Whether we run it; somebody else's is followed.
    ours: bool,
    want: Want,
    child: Option<Child>,
    /// An effect whose answer is awaited: `Judge` or `Spawn`.
    pending: Option<Effect>,
    timer: Option<Duration>,
    restarts: Restarts,
    health: Health,
    /// When a degraded child that still does not answer is taken for hung.
    hung_at: Option<Duration>,
    /// Why the last look was a bad one, while a child is not ready.
    last_bad: Option<String>,
    /// Whether a held start is tried as slowly as after a crash, since only a try shows whether the cause has gone.
    paced: bool,
    /// Whether the next start is one that a person asked for.
    asked: bool,
    transitions: Vec<Transition>,
}

impl Machine {
    /// Before anything: Kubo is wanted, and the first thing to do is to judge.
    pub fn new() -> Machine {
        Machine {
            state: KuboState::Backoff,
            held: None,
            ours: true,
            want: Want::Run,
            child: None,
            pending: None,
            timer: Some(Duration::ZERO),
            restarts: Restarts::default(),
            health: Health::default(),
            hung_at: None,
            last_bad: None,
            paced: false,
            asked: false,
            transitions: Vec::new(),
        }
    }

    /// Before anything, when somebody else runs Kubo.
    pub fn follows() -> Machine {
        Machine { ours: false, ..Machine::new() }
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

    /// Why the last look was a bad one, while a child is not ready.
    pub fn last_bad(&self) -> Option<&str> {
        self.last_bad.as_deref()
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

    /// What has changed since this was asked last.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// When to send [`Event::Timer`].
    pub fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// When the next start is tried, for people.
    pub fn next_try(&self) -> Option<Duration> {
        let waits = match self.state {
            KuboState::Backoff | KuboState::CrashLoop => true,
            KuboState::Held => self.paced,
            _ => false,
        };
        self.timer.filter(|_| waits)
    }

    /// Goes on after the actor was restarted, which has lost the answer to whatever was pending. `alive`: the child is there.
    pub fn resume(&mut self, now: Duration, alive: bool, jitter: f64, limits: Limits) -> Vec<Effect> {
        let pending = self.pending.take();
        match (self.child.is_some(), alive) {
            (false, true) => self.on(Event::Spawned, now, jitter, limits),
            (true, false) if self.ours => {
                let how = "it ended while the daemon was restarting its watch".to_owned();
                self.on(Event::Exited { how, permanent: None }, now, jitter, limits)
            }
            (false, false) if pending.is_some() => self.judge(),
            _ => Vec::new(),
        }
    }

    /// Takes an event at `now`.
    pub fn on(&mut self, event: Event, now: Duration, jitter: f64, limits: Limits) -> Vec<Effect> {
        match event {
            Event::StartAsked | Event::RestartAsked if self.want == Want::End => Vec::new(),
            Event::StartAsked => {
                self.is_asked_for();
                self.try_start_as_asked()
            }
            Event::StopAsked => self.stop(Want::Stop, now, limits),
            Event::DaemonEnds => self.stop(Want::End, now, limits),
            Event::RestartAsked => {
                self.is_asked_for();
                match self.child {
                    Some(_) => self.terminate(now, limits, "restart_asked", "a person asked for a restart"),
                    None => self.try_start_as_asked(),
                }
            }
            Event::Judged(judgement) => self.judged(judgement, now),
            Event::Spawned => self.spawned(now, limits),
            Event::NotSpawned(held) => {
                self.pending = None;
                if self.want != Want::Run {
                    return self.stopped();
                }
                self.hold_after_a_try(held, now, jitter)
            }
            Event::ProbeGood => self.answers(now),
            Event::ProbeBad(why) => self.does_not_answer(&why, now, limits),
            Event::Exited { how, permanent } => self.exited(how, permanent, now, jitter),
            Event::CauseChanged if self.state == KuboState::Held && self.want == Want::Run => self.try_start(),
            Event::CauseChanged => Vec::new(),
            Event::Timer => self.timer_came(now, limits),
        }
    }

    fn enter(&mut self, to: KuboState, cause: &str, evidence: impl Into<String>) {
        self.held = None;
        if to != self.state {
            self.tell(to, cause, evidence.into());
        }
    }

    fn tell(&mut self, to: KuboState, cause: &str, evidence: String) {
        let from = std::mem::replace(&mut self.state, to);
        self.transitions.push(Transition { from, to, cause: cause.to_owned(), evidence });
    }

    fn judge(&mut self) -> Vec<Effect> {
        self.pending = Some(Effect::Judge);
        self.timer = None;
        vec![Effect::Judge]
    }

    fn try_start(&mut self) -> Vec<Effect> {
        if self.child.is_some() || self.pending.is_some() { Vec::new() } else { self.judge() }
    }

    /// A person wants it to run: the past no longer counts, nor why a child that is ending was asked to.
    fn is_asked_for(&mut self) {
        self.want = Want::Run;
        self.restarts.forgive();
        if let Some(child) = &mut self.child {
            child.hung = false;
        }
    }

    fn try_start_as_asked(&mut self) -> Vec<Effect> {
        self.asked = self.child.is_none();
        self.try_start()
    }

    fn judged(&mut self, judgement: Result<(), Held>, now: Duration) -> Vec<Effect> {
        if self.pending != Some(Effect::Judge) {
            return Vec::new();
        }
        self.pending = None;
        let asked = std::mem::take(&mut self.asked);
        match judgement {
            _ if self.want != Want::Run => self.stopped(),
            // Looking is cheap, and the cause may have gone.
            Err(held) => self.hold(held, now + JUDGE_AGAIN, false),
            Ok(()) if !self.ours => {
                self.child = Some(Child { ready_at: Some(now), asked_to_stop: false, hung: false });
                self.health = Health::new(now);
                self.enter(KuboState::Running, "found", "its API answers as the node that is expected");
                Vec::new()
            }
            Ok(()) => {
                let (cause, evidence) = match (&self.held, self.restarts.is_new()) {
                    _ if asked => ("start_asked", "a person asked for it".to_owned()),
                    (Some(held), _) if !self.paced => ("cause_gone", format!("it was held for {}", held.cause)),
                    (_, true) => ("first_start", "Kubo is to run".to_owned()),
                    (_, false) => ("retry", "the time for the next try has come".to_owned()),
                };
                self.pending = Some(Effect::Spawn);
                self.enter(KuboState::Starting, cause, evidence);
                vec![Effect::Spawn]
            }
        }
    }

    fn hold(&mut self, held: Held, until: Duration, paced: bool) -> Vec<Effect> {
        // The words may change with each look, as a PID does; the cause is the news.
        if self.held.as_ref().is_none_or(|before| before.cause != held.cause) {
            self.tell(KuboState::Held, &held.cause, held.detail.clone());
        }
        self.held = Some(held);
        self.paced = paced;
        self.timer = Some(until);
        Vec::new()
    }

    /// Only another try shows whether the cause has gone.
    fn hold_after_a_try(&mut self, held: Held, now: Duration, jitter: f64) -> Vec<Effect> {
        let wait = self.restarts.ended(now, None, jitter).after;
        self.hold(held, now + wait, true)
    }

    fn stopped(&mut self) -> Vec<Effect> {
        let (cause, evidence) = self.why_stopping();
        self.enter(KuboState::Stopped, cause, evidence);
        self.timer = None;
        Vec::new()
    }

    fn why_stopping(&self) -> (&'static str, &'static str) {
        match self.want {
            Want::End => ("daemon_ends", "the daemon ends"),
            Want::Stop | Want::Run => ("stop_asked", "a person asked for it"),
        }
    }

    fn spawned(&mut self, now: Duration, limits: Limits) -> Vec<Effect> {
        self.pending = None;
        self.timer = Some(now + limits.start_timeout);
        self.last_bad = None;
        self.child = Some(Child { ready_at: None, asked_to_stop: false, hung: false });
        self.enter(KuboState::Starting, "child_met", "there is a child already");
        if self.want == Want::Run {
            return Vec::new();
        }
        // A stop was asked for while the start was under way.
        let (cause, evidence) = self.why_stopping();
        self.terminate(now, limits, cause, evidence)
    }

    fn ready(&mut self, now: Duration) -> Vec<Effect> {
        if let Some(child) = &mut self.child
            && child.ready_at.is_none()
            && !child.asked_to_stop
        {
            child.ready_at = Some(now);
            (self.timer, self.last_bad) = (None, None);
            self.health = Health::new(now);
            self.enter(
                KuboState::Running,
                "ready",
                "its API answers as the node that is expected, and its repo is usable",
            );
        }
        Vec::new()
    }

    fn answers(&mut self, now: Duration) -> Vec<Effect> {
        if !self.takes_calls() {
            return self.ready(now);
        }
        // It answers: only from the last time that it did not is it hung.
        self.hung_at = None;
        if let Some(looks) = self.health.good(now, self.state == KuboState::Degraded) {
            let evidence = format!("its API has answered well {looks} times in a row");
            self.enter(KuboState::Running, "answers_again", evidence);
        }
        Vec::new()
    }

    fn does_not_answer(&mut self, why: &str, now: Duration, limits: Limits) -> Vec<Effect> {
        if !self.takes_calls() {
            // No news before it is ready, but what it is waited for.
            if self.child.is_some_and(|child| !child.asked_to_stop) {
                self.last_bad = Some(why.to_owned());
            }
            return Vec::new();
        }
        let hung_at = *self.hung_at.get_or_insert(now + limits.hang_limit);
        let may_be_restarted = self.ours && !limits.hang_limit.is_zero();
        if self.state == KuboState::Degraded && may_be_restarted && now >= hung_at {
            if let Some(child) = &mut self.child {
                child.hung = true;
            }
            let evidence = format!("it has not answered well for {} s", limits.hang_limit.as_secs());
            return self.terminate(now, limits, "hung", &evidence);
        }
        if self.health.bad(now, self.state == KuboState::Running) {
            let evidence = format!("{} looks in a row failed, the last one so: {why}", health::BAD);
            self.enter(KuboState::Degraded, "no_answer", evidence);
        }
        Vec::new()
    }

    fn stop(&mut self, want: Want, now: Duration, limits: Limits) -> Vec<Effect> {
        if self.want != Want::End {
            self.want = want;
        }
        if self.child.is_some() && self.ours {
            let (cause, evidence) = self.why_stopping();
            self.terminate(now, limits, cause, evidence)
        } else if self.pending == Some(Effect::Spawn) {
            // Its answer finds out that nobody wants it any more.
            Vec::new()
        } else {
            // A look is not waited for: it changes nothing that a stop is about, and it may hang.
            (self.child, self.pending, self.asked) = (None, None, false);
            self.stopped()
        }
    }

    fn terminate(&mut self, now: Duration, limits: Limits, cause: &str, evidence: &str) -> Vec<Effect> {
        self.enter(KuboState::Stopping, cause, evidence);
        match &mut self.child {
            Some(child) if !child.asked_to_stop => {
                child.asked_to_stop = true;
                (self.timer, self.last_bad) = (Some(now + limits.stop_grace), None);
                vec![Effect::Terminate]
            }
            _ => Vec::new(),
        }
    }

    fn exited(&mut self, how: String, permanent: Option<Held>, now: Duration, jitter: f64) -> Vec<Effect> {
        let Some(child) = self.child.take() else { return Vec::new() };
        (self.timer, self.last_bad) = (None, None);
        if self.want != Want::Run {
            return self.stopped();
        }
        if child.asked_to_stop && !child.hung {
            self.asked = true;
            self.enter(KuboState::Backoff, "restart_asked", how);
            return self.judge();
        }
        let permanent = match permanent {
            Some(held) if !self.ours => return self.hold(held, now + JUDGE_AGAIN, false),
            permanent => permanent,
        };
        let ready = child.ready_at.map(|at| now.saturating_sub(at));
        let retry = self.restarts.ended(now, ready, jitter);
        if let Some(held) = permanent {
            return self.hold(held, now + retry.after, true);
        }
        self.enter(if retry.crash_loop { KuboState::CrashLoop } else { KuboState::Backoff }, "exited", how);
        self.timer = Some(now + retry.after);
        Vec::new()
    }

    fn timer_came(&mut self, now: Duration, limits: Limits) -> Vec<Effect> {
        if self.timer.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.timer = None;
        match (self.state, &self.child) {
            (KuboState::Stopping, Some(_)) => vec![Effect::Kill],
            (KuboState::Starting, Some(_)) => {
                let why = self.last_bad.as_ref().map(|why| format!("; the last look: {why}")).unwrap_or_default();
                let evidence =
                    format!("it is not ready after {} s, and is waited for{why}", limits.start_timeout.as_secs());
                self.enter(KuboState::Degraded, "slow_start", evidence);
                Vec::new()
            }
            (KuboState::Backoff | KuboState::CrashLoop | KuboState::Held, None) => self.try_start(),
            _ => Vec::new(),
        }
    }
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
    use proptest::test_runner::TestRunner;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    const LIMITS: Limits = Limits {
        stop_grace: Duration::from_secs(60),
        start_timeout: Duration::from_secs(600),
        hang_limit: Duration::from_secs(600),
    };

    fn because(cause: &str) -> Held {
        Held { cause: cause.into(), detail: "held".into(), hint: "wait".into() }
    }

    fn held() -> Held {
        because("lock_live")
    }

    fn exited() -> Event {
        Event::Exited { how: "killed by SIGKILL".into(), permanent: None }
    }

    fn refused() -> Event {
        Event::Exited { how: "exit code 127".into(), permanent: Some(because("binary_unusable")) }
    }

    fn bad() -> Event {
        Event::ProbeBad("no answer within 5 s".into())
    }

    /// The causes of what has changed.
    fn causes(machine: &mut Machine) -> Vec<String> {
        machine.take_transitions().into_iter().map(|t| t.cause).collect()
    }

    fn at(machine: &mut Machine, ms: u64, event: Event) -> Vec<Effect> {
        machine.on(event, Duration::from_millis(ms), 0.5, LIMITS)
    }

    fn running() -> Machine {
        let mut m = Machine::new();
        assert_eq!(at(&mut m, 0, Event::Timer), [Effect::Judge]);
        assert_eq!(at(&mut m, 1, Event::Judged(Ok(()))), [Effect::Spawn]);
        assert_eq!(at(&mut m, 2, Event::Spawned), []);
        assert_eq!(at(&mut m, 3, Event::ProbeGood), []);
        assert_eq!(m.state(), KuboState::Running);
        m
    }

    #[test]
    fn a_killed_kubo_is_judged_and_started_again_after_200_ms() {
        let mut m = running();
        assert_eq!(at(&mut m, 60_000, exited()), []);
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
        assert_eq!(at(&mut m, 61_001, exited()), []);
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
    fn a_stop_does_not_wait_for_a_look() {
        for (event, next) in [(Event::StopAsked, vec![Effect::Judge]), (Event::DaemonEnds, vec![])] {
            let mut m = Machine::new();
            assert_eq!(at(&mut m, 0, Event::Timer), [Effect::Judge]);
            assert_eq!(at(&mut m, 1, event), []);
            assert_eq!((m.state(), m.is_at_rest(), m.timer()), (KuboState::Stopped, true, None));
            assert_eq!(at(&mut m, 2, Event::Judged(Ok(()))), [], "it comes too late");
            assert_eq!(at(&mut m, 3, Event::StartAsked), next);
        }
    }

    #[test]
    fn a_repo_that_cannot_be_made_is_tried_as_slowly_as_crashes() {
        let mut m = Machine::new();
        for (now, next) in [(0, 200), (200, 1200)] {
            at(&mut m, now, Event::Timer);
            assert_eq!(at(&mut m, now, Event::Judged(Ok(()))), [Effect::Spawn]);
            at(&mut m, now, Event::NotSpawned(because("init_failed")));
            assert_eq!((m.state(), m.next_try()), (KuboState::Held, Some(Duration::from_millis(next))));
        }
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
        assert_eq!(at(&mut m, 1500, exited()), [Effect::Judge]);
    }

    #[test]
    fn slow_is_not_dead() {
        let mut m = running();
        for ms in 0..100 {
            assert_eq!(at(&mut m, 1000 + ms, bad()), []);
        }
        assert_eq!(m.state(), KuboState::Degraded);
        at(&mut m, 2000, Event::ProbeGood);
        assert_eq!(m.state(), KuboState::Degraded);
        at(&mut m, 2001, Event::ProbeGood);
        assert_eq!(m.state(), KuboState::Running);
    }

    #[test]
    fn s5_a_kubo_that_answers_nothing_for_the_hang_limit_is_restarted_and_not_before() {
        let mut m = running();
        for ms in [10_000, 20_000, 30_000] {
            assert_eq!(at(&mut m, ms, bad()), []);
        }
        assert_eq!((m.state(), m.timer()), (KuboState::Degraded, None));
        assert_eq!(at(&mut m, 609_999, bad()), []);
        assert_eq!(at(&mut m, 610_000, bad()), [Effect::Terminate]);
        assert_eq!(at(&mut m, 670_000, Event::Timer), [Effect::Kill]);
        assert_eq!(at(&mut m, 670_001, exited()), []);
        assert_eq!((m.state(), m.next_try()), (KuboState::Backoff, Some(Duration::from_millis(670_201))));
        assert_eq!(causes(&mut m), ["first_start", "ready", "no_answer", "hung", "exited"]);
        let never = Limits { hang_limit: Duration::ZERO, ..LIMITS };
        let mut m = running();
        for ms in 0..100 {
            m.on(bad(), Duration::from_millis(ms), 0.5, never);
        }
        assert_eq!((m.state(), m.timer()), (KuboState::Degraded, None));
    }

    #[test]
    fn a_degraded_kubo_that_answers_now_and_then_is_not_hung() {
        let mut m = running();
        for ms in [10_000, 20_000, 30_000] {
            at(&mut m, ms, bad());
        }
        for n in 0..3600 {
            let event = if n % 60 == 0 { Event::ProbeGood } else { bad() };
            assert_eq!(at(&mut m, 40_000 + 2000 * n, event), [], "look {n}");
        }
    }

    #[test]
    fn a_restart_asked_for_while_a_hung_kubo_ends_is_a_start_at_once() {
        let mut m = running();
        for ms in [10_000, 20_000, 30_000] {
            at(&mut m, ms, bad());
        }
        assert_eq!(at(&mut m, 700_000, bad()), [Effect::Terminate]);
        assert_eq!(at(&mut m, 701_000, Event::RestartAsked), []);
        assert_eq!(at(&mut m, 702_000, exited()), [Effect::Judge]);
    }

    #[test]
    fn s19_a_kubo_that_keeps_changing_is_told_less_than_once_a_minute_over_time() {
        let mut m = running();
        m.take_transitions();
        // Every second look fails: never three in a row.
        for n in 0..1000 {
            at(&mut m, 2000 * n, if n % 2 == 0 { bad() } else { Event::ProbeGood });
        }
        assert_eq!(m.take_transitions(), []);
        // As bad as it can get: three failures and as many good looks as it takes, over and over, a look every 2 s.
        let (mut now, mut told) = (2_000_000, 0);
        let limits = Limits { hang_limit: Duration::ZERO, ..LIMITS };
        while now < 2_000_000 + 24 * 3_600_000 {
            now += 2000;
            let event = if m.state() == KuboState::Running { bad() } else { Event::ProbeGood };
            m.on(event, Duration::from_millis(now), 0.5, limits);
            told += m.take_transitions().len();
        }
        assert!(told <= 24 * 60, "{told} events in a day");
    }

    #[test]
    fn a_kubo_of_somebody_else_is_followed_and_never_started_or_signalled() {
        let mut m = Machine::follows();
        assert_eq!(at(&mut m, 0, Event::Timer), [Effect::Judge]);
        assert_eq!(at(&mut m, 1, Event::Judged(Err(because("not_reachable")))), []);
        assert_eq!(at(&mut m, 1001, Event::Timer), [Effect::Judge]);
        assert_eq!(at(&mut m, 1002, Event::Judged(Ok(()))), []);
        assert_eq!((m.state(), m.takes_calls()), (KuboState::Running, true));
        for ms in 2000..2003 {
            assert_eq!(at(&mut m, ms, bad()), []);
        }
        assert_eq!((m.state(), m.timer()), (KuboState::Degraded, None));
        let gone = Event::Exited { how: "connection refused".into(), permanent: Some(because("not_reachable")) };
        assert_eq!(at(&mut m, 3000, gone), []);
        assert_eq!((m.state(), m.timer()), (KuboState::Held, Some(Duration::from_secs(4))));
        at(&mut m, 4000, Event::Timer);
        at(&mut m, 4001, Event::Judged(Ok(())));
        assert_eq!(at(&mut m, 5000, Event::DaemonEnds), []);
        assert_eq!((m.state(), m.is_at_rest()), (KuboState::Stopped, true));
        assert_eq!(causes(&mut m), ["not_reachable", "found", "no_answer", "not_reachable", "found", "daemon_ends"]);
    }

    #[test]
    fn every_change_of_state_is_told_once_with_its_cause_and_evidence() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        for ms in [1, 1002, 2003] {
            at(&mut m, ms, Event::Judged(Err(held())));
            at(&mut m, ms + 1000, Event::Timer);
        }
        at(&mut m, 3004, Event::Judged(Err(because("repo_missing"))));
        at(&mut m, 300_000, Event::Timer);
        at(&mut m, 300_001, Event::Judged(Ok(())));
        at(&mut m, 300_002, Event::Spawned);
        at(&mut m, 300_003, Event::ProbeGood);
        at(&mut m, 400_000, Event::StopAsked);
        at(&mut m, 400_001, exited());
        at(&mut m, 400_002, Event::StartAsked);
        at(&mut m, 400_003, Event::Judged(Ok(())));
        let told = m.take_transitions();
        let causes: Vec<_> = told.iter().map(|t| t.cause.as_str()).collect();
        assert_eq!(
            causes,
            ["lock_live", "repo_missing", "cause_gone", "ready", "stop_asked", "stop_asked", "start_asked"]
        );
        assert!(told.iter().all(|t| !t.evidence.is_empty()));
        assert!(told.windows(2).all(|two| two[0].to == two[1].from), "no gap: {told:?}");
    }

    #[test]
    fn probes_that_failed_before_ready_do_not_count_afterwards() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        at(&mut m, 1, Event::Judged(Ok(())));
        at(&mut m, 2, Event::Spawned);
        for ms in 3..9 {
            at(&mut m, ms, bad());
            assert_eq!((m.state(), m.takes_calls()), (KuboState::Starting, false));
            assert_eq!(m.last_bad(), Some("no answer within 5 s"));
        }
        at(&mut m, 10, Event::ProbeGood);
        assert_eq!(m.last_bad(), None);
        at(&mut m, 11, bad());
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
        assert_eq!(at(&mut m, 700_000, Event::ProbeGood), []);
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
            at(&mut m, now, refused());
            assert_eq!(m.state(), KuboState::Held);
            let next = m.next_try().expect("it is said when").as_millis() as u64;
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [200, 1000, 2000, 4000, 300_000, 300_000]);
    }

    #[test]
    fn a_change_of_what_kubo_is_held_for_is_tried_at_once() {
        let mut m = Machine::new();
        at(&mut m, 0, Event::Timer);
        at(&mut m, 1, Event::Judged(Ok(())));
        at(&mut m, 2, Event::Spawned);
        assert_eq!(at(&mut m, 3, Event::CauseChanged), []);
        at(&mut m, 3, refused());
        assert_eq!((m.state(), at(&mut m, 4, Event::CauseChanged)), (KuboState::Held, vec![Effect::Judge]));
        assert_eq!(at(&mut m, 5, Event::CauseChanged), [], "it is being looked at");
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

    /// Short ones, which pass within a walk.
    const SHORT: Limits = Limits {
        stop_grace: Duration::from_secs(2),
        start_timeout: Duration::from_secs(3),
        hang_limit: Duration::from_secs(4),
    };

    fn walked(machine: &mut Machine, ms: u64, event: Event) -> Vec<Effect> {
        machine.on(event, Duration::from_millis(ms), 0.5, SHORT)
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

        /// Somebody else's Kubo answers and goes as it likes, and nobody asks us for a start or a stop.
        fn follow(&mut self, m: &mut Machine, choice: u8) {
            self.now += 1 + u64::from(choice) * 40;
            let event = match choice % 6 {
                0 if self.judging => Event::Judged(Err(because("not_reachable"))),
                0 | 1 if self.judging => Event::Judged(Ok(())),
                2 => Event::Exited { how: "gone".into(), permanent: Some(because("not_reachable")) },
                3 => Event::ProbeGood,
                4 => bad(),
                _ => Event::Timer,
            };
            self.judging &= !matches!(event, Event::Judged(_));
            for effect in walked(m, self.now, event) {
                assert_eq!(effect, Effect::Judge, "somebody else's Kubo is touched");
                self.judging = true;
            }
        }

        fn step(&mut self, m: &mut Machine, choice: u8) {
            self.now += 1 + u64::from(choice) * 40;
            // People ask seldom, so that what happens by itself has its course.
            let asks = choice < 32;
            if !asks && matches!(choice % 16, 0..3 | 15) {
                // As long as it waits for.
                self.now = self.now.max(m.timer().map_or(0, |due| due.as_millis() as u64));
            }
            let event = match choice % 16 {
                0 if asks => Event::StartAsked,
                1 if asks => Event::StopAsked,
                2 if asks => Event::RestartAsked,
                3 => Event::CauseChanged,
                4 => bad(),
                5 => Event::ProbeGood,
                6 => Event::Timer,
                // Most of what is asked is answered soon, and not always before something else happens.
                7 if self.judging => Event::Judged(Err(held())),
                _ if self.judging => Event::Judged(Ok(())),
                7 if self.spawning => Event::NotSpawned(held()),
                _ if self.spawning => Event::Spawned,
                7 | 8 => Event::ProbeGood,
                9 | 10 if self.child.is_some() => exited(),
                11 if self.child.is_some() => refused(),
                12..15 => bad(),
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
            let effects = walked(m, self.now, event);
            self.act(effects);
        }

        /// No more faults: everything that is asked is answered well.
        fn calm(&mut self, m: &mut Machine) {
            if m.want() == Want::Stop {
                self.happen(m, Event::StartAsked);
            }
            for _ in 0..20 {
                self.now = self.now.max(m.timer().map_or(0, |t| t.as_millis() as u64)) + 1;
                let event = match () {
                    () if self.judging => Event::Judged(Ok(())),
                    () if self.spawning => Event::Spawned,
                    () if m.state() == KuboState::Stopping => exited(),
                    () if self.child.is_some() => Event::ProbeGood,
                    () => Event::Timer,
                };
                self.happen(m, event);
            }
        }
    }

    /// What the walks have come to, and how often.
    type Covered = BTreeMap<String, u32>;

    fn cover(covered: &RefCell<Covered>, machine: &mut Machine) {
        let told = machine.take_transitions();
        assert!(told.windows(2).all(|two| two[0].to == two[1].from), "a change was not told: {told:?}");
        for Transition { to, cause, .. } in told {
            *covered.borrow_mut().entry(format!("{} {cause}", to.name())).or_default() += 1;
        }
    }

    /// Walks a thousand times; what must have been come to, so that the walk is one through all of the machine.
    fn walk(expected: &[&str], one: impl Fn(Vec<u8>, &RefCell<Covered>)) {
        let covered = RefCell::default();
        let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
        let walked = TestRunner::new(config).run(&prop::collection::vec(0u8..160, 0..200), |choices| {
            one(choices, &covered);
            Ok(())
        });
        walked.unwrap_or_else(|error| panic!("{error}"));
        let covered = covered.into_inner();
        let missing: Vec<_> = expected.iter().filter(|way| !covered.contains_key(**way)).collect();
        assert!(missing.is_empty(), "not walked: {missing:?}, but {covered:#?}");
    }

    #[test]
    fn any_sequence_keeps_one_child_and_one_signal_and_ends_running_once_faults_stop() {
        let expected = [
            "starting first_start",
            "starting retry",
            "starting cause_gone",
            "starting start_asked",
            "running ready",
            "running answers_again",
            "degraded no_answer",
            "degraded slow_start",
            "stopping hung",
            "stopping stop_asked",
            "stopping restart_asked",
            "stopped stop_asked",
            "backoff restart_asked",
            "backoff exited",
            "crash_loop exited",
            "held lock_live",
            "held binary_unusable",
        ];
        walk(&expected, |choices, covered| {
            let (mut m, mut world) = (Machine::new(), World::default());
            for choice in choices {
                world.step(&mut m, choice);
                assert_eq!(m.has_child(), world.child.is_some());
            }
            world.calm(&mut m);
            assert_eq!(m.state(), KuboState::Running);
            cover(covered, &mut m);
        });
    }

    #[test]
    fn any_sequence_leaves_a_kubo_of_somebody_else_alone_and_ends_running_once_it_answers() {
        let expected = ["running found", "running answers_again", "degraded no_answer", "held not_reachable"];
        walk(&expected, |choices, covered| {
            let (mut m, mut world) = (Machine::follows(), World::default());
            choices.into_iter().for_each(|choice| world.follow(&mut m, choice));
            for _ in 0..400 {
                world.now = world.now.max(m.timer().map_or(0, |t| t.as_millis() as u64));
                let event = match () {
                    () if world.judging => Event::Judged(Ok(())),
                    () if m.takes_calls() => Event::ProbeGood,
                    () => Event::Timer,
                };
                world.judging = !walked(&mut m, world.now, event).is_empty();
            }
            assert_eq!(m.state(), KuboState::Running);
            cover(covered, &mut m);
        });
    }
}
