//! `doctor`: findings with the command that mends each.

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Listing, Row, Shape};
use crate::output::{Out, tame};
use proto_msgs::doctor::{Doctor, Finding, Severity};

pub(crate) const FINDINGS: Shape = Shape {
    all: &["severity", "cause", "detail", "hint", "command"],
    table: &["severity", "cause", "detail"],
    wide: &["severity", "cause", "detail", "hint", "command"],
};

pub(crate) fn doctor(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &FINDINGS, show)?;
    let mut report = ask.call(Doctor {})?;
    let wrong = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    let plain = show.columns.is_none() && !out.wide;
    match out.format {
        Format::Table if report.findings.is_empty() => out.line("nothing is wrong")?,
        Format::Table if plain => {
            let list: Listing<Finding> = Listing::cut_here(out, &FINDINGS, show, "")?;
            list.arrange(&mut report.findings);
            let numbered = (1..).zip(&report.findings);
            numbered.into_iter().try_for_each(|(number, finding)| block(out, number, finding))?;
        }
        _ => list::whole(out, &FINDINGS, show, &mut report, ("findings", |report| &mut report.findings))?,
    }
    Ok(if wrong { exit::FAILED } else { exit::OK })
}

fn block(out: &mut Out, number: u32, finding: &Finding) -> Result<(), Failure> {
    out.line(format!("{number}. {} ({}): {}", finding.severity.name(), finding.cause, tame(&finding.detail)))?;
    out.line(format!("   to do: {}", tame(&finding.hint)))?;
    match &finding.command {
        Some(command) => out.line(format!("   $ {}", tame(command))),
        None => Ok(()),
    }
}

impl Row for Finding {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "severity" => Cell::text(self.severity.name()),
            "cause" => Cell::text(&self.cause),
            "detail" => Cell::text(&self.detail),
            "hint" => Cell::text(&self.hint),
            "command" => Cell::maybe(self.command.as_deref()),
            _ => Cell::None,
        }
    }
}
