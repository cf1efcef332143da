//! Pins by hotness, by pattern, and by what is to be expected of them.

use super::{at, classes, forecasts, last, of, rows};
use crate::analytics::actor::AnalyticsArgs;
use crate::analytics::look::{Look, seconds};
use crate::analytics::pattern::Class;
use crate::analytics::rank::Ranked;
use crate::index::actor::pinned;
use proto_msgs::analytics::{
    AnalyticsCold, AnalyticsHot, AnalyticsPatterns, AnalyticsPredict, ForecastPage, HeatPage, PatternPage, PinForecast,
    PinHeat, PinPattern, Rows,
};
use proto_msgs::pin::Pin;
use proto_msgs::{Fault, FaultKind};

/// `analytics hot`.
pub(in crate::analytics) async fn hot(args: AnalyticsArgs, ask: AnalyticsHot) -> Result<HeatPage, Fault> {
    heat(&args, ask.0, Look::hot).await
}

/// `analytics cold`.
pub(in crate::analytics) async fn cold(args: AnalyticsArgs, ask: AnalyticsCold) -> Result<HeatPage, Fault> {
    heat(&args, ask.0, Look::cold).await
}

async fn heat(args: &AnalyticsArgs, ask: Rows, by: fn(&Look, &Rows) -> Ranked<u32>) -> Result<HeatPage, Fault> {
    let (look, dated) = last(args);
    let mut page =
        HeatPage { as_of: dated.as_of, age_s: dated.age_s, generation: dated.generation, total: 0, pins: Vec::new() };
    let Some(look) = look else { return Ok(page) };
    let ranked = of(&look, move |look| by(look, &ask)).await?;
    let places = || ranked.rows.iter().map(|place| *place as usize);
    let mut pins = rows(args, &look, places()).await?;
    let told = places().filter_map(|place| Some(heat_of(&look, place, pins.remove(&place)?)));
    (page.total, page.pins) = (ranked.total, told.collect());
    Ok(page)
}

fn heat_of(look: &Look, place: usize, pin: Pin) -> PinHeat {
    let (read, [_, day, _]) = (look.read_of(place), look.forecast(place));
    PinHeat {
        cid: pin.cid,
        name: pin.name,
        size: pin.size,
        hotness: look.hotness(place).unwrap_or(0.0),
        accesses: read.map_or(0, |read| read.accesses.into()),
        last_access: read.and_then(|read| at(read.last)),
        pattern: look.class(place).name().to_owned(),
        day,
    }
}

/// `analytics patterns`.
pub(in crate::analytics) async fn patterns(args: AnalyticsArgs, ask: AnalyticsPatterns) -> Result<PatternPage, Fault> {
    let class = ask.pattern.as_deref().map(class).transpose()?;
    let (look, dated) = last(&args);
    let mut page = PatternPage {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        patterns: classes(look.as_deref()),
        total: 0,
        pins: Vec::new(),
    };
    let Some(look) = look else { return Ok(page) };
    let ranked = of(&look, move |look| look.by_pattern(class, &ask.rows)).await?;
    let mut pins = rows(&args, &look, ranked.rows.iter().map(|read| read.place())).await?;
    let told = ranked.rows.iter().filter_map(|read| {
        let pin = pins.remove(&read.place())?;
        let [gap_s, burstiness, next, onward] = read.numbers();
        Some(PinPattern {
            cid: pin.cid,
            name: pin.name,
            pattern: look.class(read.place()).name().to_owned(),
            accesses: read.accesses.into(),
            last_access: at(read.last),
            gap_s,
            burstiness,
            next,
            onward,
        })
    });
    (page.total, page.pins) = (ranked.total, told.collect());
    Ok(page)
}

fn class(name: &str) -> Result<Class, Fault> {
    Class::ALL.into_iter().find(|class| class.name() == name).ok_or_else(|| {
        let names = Class::ALL.map(Class::name).join(", ");
        Fault::new(FaultKind::Invalid, format!("no pattern is called {name:?}")).hint(format!("there are {names}"))
    })
}

/// `analytics predict`.
pub(in crate::analytics) async fn predict(args: AnalyticsArgs, ask: AnalyticsPredict) -> Result<ForecastPage, Fault> {
    let only = ask.cid.as_deref().map(|cid| pinned(&args.board, cid)).transpose()?;
    let (look, dated) = last(&args);
    let mut page = ForecastPage {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        forecasts: forecasts(look.as_deref()),
        total: 0,
        pins: Vec::new(),
    };
    let Some(look) = look else { return Ok(page) };
    let ranked = match only {
        // Also without a forecast: the row then says that there is none.
        Some(entries) => {
            let rows: Vec<_> = entries.iter().filter_map(|entry| look.place(entry.id())).map(|at| at as u32).collect();
            Ranked { total: rows.len() as u64, rows }
        }
        None => of(&look, move |look| look.likeliest(&ask.rows)).await?,
    };
    let places = || ranked.rows.iter().map(|place| *place as usize);
    let mut pins = rows(&args, &look, places()).await?;
    let told = places().filter_map(|place| Some(forecast_of(&look, place, pins.remove(&place)?)));
    (page.total, page.pins) = (ranked.total, told.collect());
    Ok(page)
}

fn forecast_of(look: &Look, place: usize, pin: Pin) -> PinForecast {
    let ([hour, day, week], next) = (look.forecast(place), look.next(place));
    let after = |wait: Option<f64>| wait.and_then(|wait| at(seconds(look.at) + wait));
    PinForecast {
        cid: pin.cid,
        name: pin.name,
        hour,
        day,
        week,
        next: next.and_then(|next| after(next.middle)),
        next_earliest: next.and_then(|next| after(next.earliest)),
        next_latest: next.and_then(|next| after(next.latest)),
    }
}
