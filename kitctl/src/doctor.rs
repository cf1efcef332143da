//! `doctor`: findings with the command that mends each.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, tame};
use proto_msgs::doctor::{Doctor, Finding, Severity};

pub(crate) fn doctor(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let report = ask.call(Doctor {})?;
    match out.format {
        Format::Table if report.findings.is_empty() => out.line("nothing is wrong")?,
        Format::Table => report.findings.iter().try_for_each(|finding| show(out, finding))?,
        Format::Ndjson => report.findings.iter().try_for_each(|finding| out.json(finding))?,
        _ => out.answer(&report)?,
    }
    let wrong = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if wrong { exit::FAILED } else { exit::OK })
}

fn show(out: &mut Out, finding: &Finding) -> Result<(), Failure> {
    out.line(format!("{} ({}): {}", finding.severity.name(), finding.cause, tame(&finding.detail)))?;
    out.line(format!("  to do: {}", tame(&finding.hint)))?;
    match &finding.command {
        Some(command) => out.line(format!("  $ {}", tame(command))),
        None => Ok(()),
    }
}
