//! `pin tag`, `note`, `tier`: what people say of CIDs, and how it is shown.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::Failure;
use crate::output::{Out, Table};
use crate::pin::each;
use proto_msgs::pin::{PinMarked, PinNote, PinTag, PinTier};
use proto_msgs::verb::Verb;

/// The CID, and what each word behind it says.
pub(crate) fn tag(ask: &mut Ask, out: &mut Out, mut words: Vec<String>) -> Result<u8, Failure> {
    if words.iter().any(|word| word == "--help") {
        return crate::args::help(&["pin", "tag"]);
    }
    let cid = words.remove(0);
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for word in &words {
        match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(tag), _) => add.push(tag.to_owned()),
            (_, Some(option)) if option.starts_with('-') => {
                return Err(Failure::Usage(format!(
                    "{word} stands behind the CID, where only +TAG and -TAG may stand"
                )));
            }
            (_, Some(tag)) => remove.push(tag.to_owned()),
            (None, None) => {
                return Err(Failure::Usage(format!("{word:?} is neither +TAG nor -TAG; options stand before the CID")));
            }
        }
    }
    say(ask, out, cid, |cid| PinTag { cid, add: add.clone(), remove: remove.clone() })
}

pub(crate) fn note(ask: &mut Ask, out: &mut Out, cid: String, note: Option<String>) -> Result<u8, Failure> {
    let note = note.map(|note| if note == "-" { String::new() } else { note });
    say(ask, out, cid, |cid| PinNote { cid, note: note.clone() })
}

pub(crate) fn tier(
    ask: &mut Ask,
    out: &mut Out,
    cid: String,
    tier: Option<String>,
    clear: bool,
) -> Result<u8, Failure> {
    let tier = if clear || tier.as_deref() == Some("-") { Some(String::new()) } else { tier };
    say(ask, out, cid, |cid| PinTier { cid, tier: tier.clone() })
}

fn say<V: Verb<Reply = PinMarked>>(
    ask: &mut Ask,
    out: &mut Out,
    cid: String,
    verb: impl Fn(String) -> V,
) -> Result<u8, Failure> {
    let mut first = true;
    each(ask, out, &[cid], |ask, out, cid| {
        let marked = ask.call(verb(cid))?;
        show(out, &mut first, &marked)?;
        if !marked.shown {
            out.note(&format!("{} is recorded; listings show it with the next change of the index", marked.cid))?;
        }
        Ok(())
    })
}

fn show(out: &mut Out, first: &mut bool, marked: &PinMarked) -> Result<(), Failure> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let cells = [marked.cid.clone(), marked.tags.join(";"), text(&marked.note), text(&marked.tier)];
    match out.format {
        Format::Json | Format::Ndjson => out.answer(marked),
        Format::Cid => out.line(&marked.cid),
        Format::Csv => {
            if std::mem::take(first) {
                out.line("cid,tags,note,tier")?;
            }
            out.csv(&cells)
        }
        _ => {
            if !std::mem::take(first) {
                out.line("")?;
            }
            let mut table = Table::new(None);
            for (name, cell) in ["cid", "tags", "note", "tier"].into_iter().zip(cells) {
                let cell = if cell.is_empty() { "-".to_owned() } else { cell };
                table.row(out, [name, &cell])?;
            }
            table.finish(out)
        }
    }
}
