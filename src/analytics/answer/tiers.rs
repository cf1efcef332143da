//! Where pins are, and where they would be cheaper. Nothing acts on it.

use super::{EXACT, last, of, rows};
use crate::analytics::actor::AnalyticsArgs;
use crate::analytics::device::{self, Measured};
use crate::analytics::look::seconds;
use crate::analytics::tier::Tier;
use crate::config::Config;
use crate::kubo::repo;
use jiff::Timestamp;
use proto_msgs::Fault;
use proto_msgs::analytics::{AnalyticsTiers, PinTierAdvice, TierPage, TierReport};
use std::time::Duration;

/// For the look at the repo's config and its device.
const DEADLINE: Duration = Duration::from_secs(5);

/// `analytics tiers`.
pub(in crate::analytics) async fn tiers(args: AnalyticsArgs, ask: AnalyticsTiers) -> Result<TierPage, Fault> {
    let (look, dated) = last(&args);
    let config = args.config.borrow().clone();
    let tiers = config.analytics.tiers.clone();
    let (here, services) = measured(&args, &config).await;
    let bytes = look.as_ref().map(|look| look.classes.iter().map(|(_, bytes)| bytes).sum::<u64>().min(EXACT));
    let place = here.as_ref().and_then(|here| tiers.iter().position(|tier| tier.name == here.tier));
    let mut page = TierPage {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        tiers: reports(here.as_ref(), &services, &tiers, look.as_ref().map(|look| look.held().len() as u64).zip(bytes)),
        without: without(here.as_ref(), &tiers, place),
        moves: 0,
        saved: 0.0,
        total: 0,
        pins: Vec::new(),
    };
    let (Some(look), Some(place), None) = (look, place, &page.without) else { return Ok(page) };
    let names: Vec<String> = tiers.iter().map(|tier| tier.name.clone()).collect();
    let now = seconds(Timestamp::now());
    let (ranked, moves, saved) = of(&look, move |look| look.tiers((&tiers, place), now, ask.all, &ask.rows)).await?;
    let mut pins = rows(&args, &look, ranked.rows.iter().map(|row| row.place as usize)).await?;
    let told = ranked.rows.iter().filter_map(|row| {
        let pin = pins.remove(&(row.place as usize))?;
        Some(PinTierAdvice {
            cid: pin.cid,
            name: pin.name,
            size: pin.size,
            hotness: look.hotness(row.place as usize),
            tier: names.get(place)?.clone(),
            advice: names.get(row.advice.tier)?.clone(),
            saved: row.saved,
            reason: row.advice.reason.to_string(),
        })
    });
    (page.total, page.moves, page.saved, page.pins) = (ranked.total, moves, saved, told.collect());
    Ok(page)
}

/// The block store's tier, as far as the repo is known, and the names of remote services.
async fn measured(args: &AnalyticsArgs, config: &Config) -> (Option<Measured>, Vec<String>) {
    if !config.names_repo() {
        return (None, Vec::new());
    }
    let path = config.ipfs_path.clone();
    let looked = args.turns.take(DEADLINE, move || {
        let (settings, _) = repo::settings(&path);
        let blocks = path.join(device::blocks(&settings));
        (blocks.exists().then(|| device::look(&blocks)), device::services(&settings))
    });
    looked.await.inspect_err(|error| tracing::debug!(%error, "the block store's device")).unwrap_or_default()
}

fn without(here: Option<&Measured>, tiers: &[Tier], place: Option<usize>) -> Option<String> {
    let setting = "the configuration's analytics.tiers";
    match (here, place) {
        (None, _) => Some("where Kubo keeps its blocks is not known here".to_owned()),
        (Some(here), None) => Some(format!(
            "nobody has said what {0} costs: {setting} needs {{ name = \"{0}\", storage = COST }} and another tier",
            here.tier
        )),
        (Some(_), Some(_)) if tiers.len() < 2 => Some(format!("{setting} has no other tier")),
        (Some(_), Some(_)) => None,
    }
}

fn reports(here: Option<&Measured>, services: &[String], tiers: &[Tier], pins: Option<(u64, u64)>) -> Vec<TierReport> {
    let cost = |name: &str| tiers.iter().find(|tier| tier.name == name);
    let report = |name: &str, known_by: &str, what: Option<String>| {
        let cost = cost(name);
        TierReport {
            name: name.to_owned(),
            known_by: known_by.to_owned(),
            what,
            pins: None,
            bytes: None,
            free: cost.and_then(|tier| tier.room).map(|room| (room as u64).min(EXACT)),
            storage: cost.map(|tier| tier.storage),
            access: cost.map(|tier| tier.access),
            read: cost.map(|tier| tier.read),
        }
    };
    let measured = here.map(|here| TierReport {
        pins: pins.map(|(pins, _)| pins),
        bytes: pins.map(|(_, bytes)| bytes),
        free: here.free.map(|free| free.min(EXACT)),
        ..report(here.tier, "measured", Some(here.what.clone()))
    });
    let remote = services.iter().map(|name| report(name, "remote", Some(format!("the pinning service {name}"))));
    let known = |name: &str| here.is_some_and(|here| here.tier == name) || services.iter().any(|known| known == name);
    let configured = tiers.iter().filter(|tier| !known(&tier.name)).map(|tier| report(&tier.name, "configured", None));
    measured.into_iter().chain(remote).chain(configured).collect()
}
