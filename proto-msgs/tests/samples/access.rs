//! Samples of what is said of accesses, and of what is made of them.

use super::Seed;
use proto_msgs::access::*;
use proto_msgs::analytics::*;
use proto_msgs::pin::SizeKind;
use proto_msgs::verb::{Call, Done, Part, Verb};

pub(super) fn calls(s: &Seed) -> Vec<Call> {
    let seen = AccessSeen { cid: s.t(), at: s.m(), path: s.m(), bytes: s.n(), offset: s.n(), op: s.m(), by: s.m() };
    vec![
        AccessRecord { accesses: s.list(seen), durable: s.flag, batch: s.m() }.into(),
        AccessLog { cid: s.m(), source: s.m(), since: s.m(), limit: s.n(), offset: s.number }.into(),
        AccessImport { log: s.t(), by: s.t(), from: s.number, lines: s.list(s.t()) }.into(),
        AnalyticsSummary {}.into(),
        AnalyticsHot(rows(s)).into(),
        AnalyticsCold(rows(s)).into(),
        AnalyticsPatterns { pattern: s.m(), rows: rows(s) }.into(),
        AnalyticsTiers { all: s.flag, rows: rows(s) }.into(),
        AnalyticsPredict { cid: s.m(), rows: rows(s) }.into(),
        AnalyticsDisk {}.into(),
        AnalyticsUnpinFirst { free: s.number }.into(),
        AnalyticsScore {}.into(),
    ]
}

pub(super) fn dones(s: &Seed) -> Vec<Done> {
    let heat = HeatPage {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        total: s.number,
        pins: s.list(PinHeat {
            cid: s.t(),
            name: s.m(),
            size: s.n(),
            hotness: s.real(),
            accesses: s.number,
            last_access: s.m(),
            pattern: s.t(),
            day: s.reals(),
        }),
    };
    vec![
        AccessRecord::done(AccessRecorded { taken: s.number, repeated: s.flag, durable: s.flag }),
        AccessLog::done(AccessPage { as_of: s.t(), total: s.number, oldest: s.m(), sources: s.list(source(s)) }),
        AccessImport::done(AccessImported {
            known: s.number,
            taken: s.number,
            others: s.number,
            wrong: s.number,
            first_wrong: s.m(),
        }),
        AnalyticsSummary::done(summary(s)),
        AnalyticsHot::done(heat.clone()),
        AnalyticsCold::done(heat),
        AnalyticsPatterns::done(patterns(s)),
        AnalyticsTiers::done(tiers(s)),
        AnalyticsPredict::done(ForecastPage {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            forecasts: s.list(used(s)),
            total: s.number,
            pins: s.list(PinForecast {
                cid: s.t(),
                name: s.m(),
                hour: s.reals(),
                day: s.reals(),
                week: s.reals(),
                next: s.m(),
                next_earliest: s.m(),
                next_latest: s.m(),
            }),
        }),
        AnalyticsDisk::done(disk(s)),
        AnalyticsUnpinFirst::done(UnpinPage {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            free: s.number,
            bytes: s.number,
            distinct: s.n(),
            enough: s.flag,
            candidates: s.n(),
            unmeasured: s.number,
            unwatched: s.number,
            fresh: s.n(),
            in_mfs: s.number,
            pins: s.list(PinUnpin {
                cid: s.t(),
                name: s.m(),
                size: s.number,
                size_kind: s.pick(&[SizeKind::Exact, SizeKind::Estimated]),
                week: s.reals(),
                hotness: s.real(),
                last_access: s.m(),
                reason: s.t(),
            }),
        }),
        AnalyticsScore::done(ScoreReport {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            horizons: s.list(horizon(s)),
        }),
    ]
}

pub(super) fn part(s: &Seed) -> Part {
    Part::AccessLog(AccessRows {
        accesses: s.list(Access {
            at: s.t(),
            cid: s.t(),
            path: s.m(),
            pin: s.m(),
            keeper: s.pick(&[Keeper::Pin, Keeper::Inside, Keeper::Mfs, Keeper::Nothing, Keeper::Unknown]),
            op: s.m(),
            bytes: s.n(),
            offset: s.n(),
            source: seen_by(s),
            by: s.m(),
        }),
    })
}

pub(super) fn source(s: &Seed) -> SourceReport {
    SourceReport {
        source: seen_by(s),
        on: s.flag,
        since: s.m(),
        looked: s.m(),
        accesses: s.number,
        wrong: s.number,
        error: s.m(),
        blind: s.t(),
    }
}

fn seen_by(s: &Seed) -> AccessSource {
    use AccessSource::*;
    s.pick(&[Record, Kubo, Gateway, Mfs])
}

fn rows(s: &Seed) -> Rows {
    Rows { limit: s.n(), offset: s.number }
}

fn used(s: &Seed) -> ForecastUse {
    ForecastUse { horizon_s: s.real(), used: use_of(s), outcomes: s.number }
}

fn use_of(s: &Seed) -> Used {
    s.pick(&[Used::Model, Used::BaseRate, Used::Nothing])
}

fn count(s: &Seed) -> PatternCount {
    PatternCount { pattern: s.t(), pins: s.number, bytes: s.number }
}

fn summary(s: &Seed) -> AnalyticsReport {
    let accesses = AccessCount { at: s.t(), accesses: s.number, bytes: s.number };
    AnalyticsReport {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        took_s: s.reals(),
        pins: s.number,
        watched: s.number,
        half_life_s: s.real(),
        sources: s.list(source(s)),
        accesses: s.number,
        accesses_most: s.number,
        oldest_access: s.m(),
        read: s.number,
        patterns: s.list(count(s)),
        by_hour: s.list(accesses.clone()),
        by_day: s.list(accesses),
        forecasts: s.list(used(s)),
    }
}

fn patterns(s: &Seed) -> PatternPage {
    PatternPage {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        patterns: s.list(count(s)),
        total: s.number,
        pins: s.list(PinPattern {
            cid: s.t(),
            name: s.m(),
            pattern: s.t(),
            accesses: s.number,
            last_access: s.m(),
            gap_s: s.reals(),
            burstiness: s.reals(),
            next: s.reals(),
            onward: s.reals(),
        }),
    }
}

fn tiers(s: &Seed) -> TierPage {
    TierPage {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        tiers: s.list(TierReport {
            name: s.t(),
            known_by: s.t(),
            what: s.m(),
            pins: s.n(),
            bytes: s.n(),
            free: s.n(),
            storage: s.reals(),
            access: s.reals(),
            read: s.reals(),
        }),
        without: s.m(),
        moves: s.number,
        saved: s.real(),
        total: s.number,
        pins: s.list(PinTierAdvice {
            cid: s.t(),
            name: s.m(),
            size: s.n(),
            hotness: s.reals(),
            tier: s.t(),
            advice: s.t(),
            saved: s.reals(),
            reason: s.t(),
        }),
    }
}

fn disk(s: &Seed) -> DiskReport {
    DiskReport {
        as_of: s.m(),
        total: s.n(),
        free: s.n(),
        repo_size: s.n(),
        storage_max: s.n(),
        without: s.m(),
        growth: s.reals(),
        growth_least: s.reals(),
        growth_most: s.reals(),
        full: s.m(),
        full_earliest: s.m(),
        full_latest: s.m(),
        until: s.m(),
        samples: s.list(DiskSample { at: s.t(), used: s.number, repo_size: s.n() }),
    }
}

fn horizon(s: &Seed) -> HorizonScore {
    HorizonScore {
        horizon_s: s.real(),
        used: use_of(s),
        since: s.m(),
        forecasts: s.number,
        waiting: s.number,
        base_rate: s.reals(),
        brier: s.reals(),
        skill: s.reals(),
        log_loss: s.reals(),
        area: s.reals(),
        rules: s.list(RuleScore { rule: s.t(), brier: s.real(), log_loss: s.real() }),
        tenths: s.list(TenthScore { from: s.real(), forecasts: s.number, forecast: s.reals(), happened: s.reals() }),
    }
}
