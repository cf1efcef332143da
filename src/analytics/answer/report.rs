//! The summary, and how good forecasts were.

use super::{EXACT, at, classes, forecasts, last, used};
use crate::analytics::actor::AnalyticsArgs;
use crate::analytics::forecast::HORIZONS;
use crate::analytics::look::Horizon;
use crate::analytics::score::{Rule, Score, skill};
use crate::fault::ask;
use crate::index::access::{AskFigures, Figure};
use jiff::Timestamp;
use proto_msgs::Fault;
use proto_msgs::analytics::{
    AccessCount, AnalyticsReport, AnalyticsScore, AnalyticsSummary, HorizonScore, RuleScore, ScoreReport, TenthScore,
    Used,
};

/// `analytics summary`.
pub(in crate::analytics) async fn summary(args: AnalyticsArgs, _: AnalyticsSummary) -> Result<AnalyticsReport, Fault> {
    let (look, dated) = last(&args);
    let settings = args.config.borrow().analytics.clone();
    let figures = ask(&args.index, AskFigures(Timestamp::now())).await?;
    let pins = look.as_ref().map_or_else(|| args.board.index.borrow().set.len(), |look| look.held().len() as u64);
    let counts = |counts: Vec<Figure>| {
        let told = |count: Figure| {
            let at = crate::time::text(count.at);
            AccessCount { at, accesses: count.accesses, bytes: count.bytes.min(EXACT) }
        };
        counts.into_iter().map(told).collect()
    };
    Ok(AnalyticsReport {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        took_s: look.as_ref().map(|look| look.took),
        pins,
        watched: look.as_ref().map_or(0, |look| look.watched),
        half_life_s: look.as_ref().map_or_else(|| settings.half_life.as_secs_f64(), |look| look.half_life),
        sources: args.board.sources.borrow().clone(),
        accesses: figures.accesses,
        accesses_most: settings.keep,
        oldest_access: figures.oldest.map(crate::time::text),
        read: look.as_ref().map_or(0, |look| look.were_read),
        patterns: classes(look.as_deref()),
        by_hour: counts(figures.by_hour),
        by_day: counts(figures.by_day),
        forecasts: forecasts(look.as_deref()),
    })
}

/// `analytics score`.
pub(in crate::analytics) async fn score(args: AnalyticsArgs, _: AnalyticsScore) -> Result<ScoreReport, Fault> {
    let (look, dated) = last(&args);
    let horizons = HORIZONS.into_iter().enumerate().map(|(horizon, horizon_s)| match &look {
        Some(look) => horizon_score(horizon_s, &look.horizons[horizon]),
        None => blank(horizon_s),
    });
    let horizons = horizons.collect();
    Ok(ScoreReport { as_of: dated.as_of, age_s: dated.age_s, generation: dated.generation, horizons })
}

fn blank(horizon_s: f64) -> HorizonScore {
    HorizonScore {
        horizon_s,
        used: Used::Nothing,
        since: None,
        forecasts: 0,
        waiting: 0,
        base_rate: None,
        brier: None,
        skill: None,
        log_loss: None,
        area: None,
        rules: Vec::new(),
        tenths: Vec::new(),
    }
}

fn horizon_score(horizon_s: f64, horizon: &Horizon) -> HorizonScore {
    let (tally, model) = (&horizon.tally, &horizon.tally.model);
    let counted = HorizonScore {
        used: used(horizon.used),
        since: tally.since.and_then(at),
        forecasts: model.count(),
        waiting: horizon.waiting,
        ..blank(horizon_s)
    };
    if !model.is_enough() {
        return counted;
    }
    let base = model.base();
    HorizonScore {
        base_rate: Some(model.base_rate()),
        brier: Some(model.brier()),
        skill: Some(skill(model.brier(), base.brier())),
        log_loss: Some(model.log_loss()),
        area: model.area(),
        rules: vec![rule("base_rate", &base), rule("last_period", &tally.last), rule("legacy", &tally.legacy)],
        tenths: tenths(model),
        ..counted
    }
}

fn rule(name: &str, rule: &Rule) -> RuleScore {
    RuleScore { rule: name.to_owned(), brier: rule.brier(), log_loss: rule.log_loss() }
}

fn tenths(model: &Score) -> Vec<TenthScore> {
    let tenth = |(n, tenth): (u32, &crate::analytics::score::Tenth)| {
        let mean = |sum: f64| (tenth.weight > 0.0).then(|| sum / tenth.weight);
        TenthScore {
            from: f64::from(n) / 10.0,
            forecasts: tenth.count,
            forecast: mean(tenth.forecast),
            happened: mean(tenth.happened),
        }
    };
    (0..).zip(&model.tenths).map(tenth).collect()
}
