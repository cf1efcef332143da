//! Rows as bytes of another form: the daemon makes them, and they are written as they come.

use crate::args::{Format, PinLs};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::Out;
use crate::pin::asked;
use proto_msgs::ClientError;
use proto_msgs::bulk::Bulk;
use proto_msgs::verb::Part;

impl Format {
    /// The form, where it is nothing that a person could read.
    pub(crate) fn bulk(self) -> Option<Bulk> {
        match self {
            Format::Arrow => Some(Bulk::Arrow),
            Format::Parquet => Some(Bulk::Parquet),
            _ => None,
        }
    }
}

/// Pins, in an order that the daemon has, with columns that it knows.
pub(crate) fn pins(ask: &mut Ask, out: &mut Out, options: &PinLs) -> Result<u8, Failure> {
    let show = &options.show;
    let (bulk, columns) = (out.format.bulk(), show.columns.clone().unwrap_or_default());
    let verb = proto_msgs::pin::PinLs { bulk, columns, ..asked(options, show.limit, show.offset) };
    if show.sort.is_some() && verb.sort.is_none() {
        let detail = "rows of this format come by cid, name, type, codec, size or first_seen";
        return Err(Failure::Usage(detail.to_owned()));
    }
    ask.check_age()?;
    ask.call_with(verb, |part| match part {
        Part::Bulk(part) => out.bytes(&part.bytes),
        Part::PinLs(_) => {
            let detail = "it does not know this format; -o ndjson goes".to_owned();
            Err(Failure::Client(ClientError::Foreign(detail)))
        }
        _ => Ok(()),
    })?;
    Ok(exit::OK)
}
