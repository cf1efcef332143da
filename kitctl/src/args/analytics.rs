//! `analytics`: what accesses tell of pins.

use super::Show;
use crate::parse::{PATTERNS, pattern, size};
use clap::Subcommand;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Analytics {
    /// What is known at all: sources, accesses over time, patterns, forecasts in use
    #[command(after_help = "Example:\n  ipfs-kitctl analytics summary")]
    Summary,
    /// The pins that are read most at present
    #[command(after_help = "\
HOTNESS is accesses per day at present: each counts half as much after every `analytics.half_life`. Pins that no source watches are \
not listed. A table has 20 rows, and other formats 1000, unless --limit says more.

Examples:
  ipfs-kitctl analytics hot
  ipfs-kitctl analytics hot --limit 100 -o csv")]
    Hot(Show),
    /// The watched pins that are read least at present; of equal ones first the largest
    #[command(after_help = "\
A table has 20 rows, and other formats 1000, unless --limit says more.

Example:
  ipfs-kitctl analytics cold --sort size:desc --limit 50")]
    Cold(Show),
    /// How pins are read, with the numbers that this is judged by
    #[command(after_help = "\
GAP_S is the mean time between accesses, BURSTINESS -1 for a clock, 0 for chance, 1 for bursts; NEXT and ONWARD are the shares of \
accesses that went on to the next file and within their file. docs/ANALYTICS.md says how the classes come about.

Examples:
  ipfs-kitctl analytics patterns
  ipfs-kitctl analytics patterns --pattern periodic -o cid")]
    Patterns {
        /// Only pins that are read in this way: unknown, cold, single, sporadic, steady, bursty, periodic, sequential, streaming
        #[arg(long, value_name = "PATTERN", value_parser = pattern, add = crate::complete::words(&PATTERNS))]
        pattern: Option<String>,
        #[command(flatten)]
        show: Show,
    },
    /// Where pins are, and where they would be cheaper; nothing is moved
    #[command(after_help = "Examples:\n  ipfs-kitctl analytics tiers\n  ipfs-kitctl analytics tiers --all -o ndjson")]
    Tiers {
        /// Pins that had better stay, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        show: Show,
    },
    /// The probability that pins are read within an hour, a day and a week, and when they are read next
    #[command(after_help = "\
First those that are likeliest read within a day. What such forecasts are worth, `analytics score` says.

Examples:
  ipfs-kitctl analytics predict
  ipfs-kitctl analytics predict bafy…")]
    Predict {
        /// Only this pin, in any form of its CID
        #[arg(value_name = "CID", add = crate::complete::cids())]
        cid: Option<String>,
        #[command(flatten)]
        show: Show,
    },
    /// When the disk is full, with an interval; as csv what was measured
    #[command(after_help = "Example:\n  ipfs-kitctl analytics disk")]
    Disk,
    /// Which pins to give up first to free so many bytes; nothing is unpinned (exit code 1 when there is not enough)
    #[command(after_help = "\
First what is least likely read within a week for the bytes that it frees. Blocks go when Kubo collects garbage. With -o cid it lists enough \
or nothing.

Examples:
  ipfs-kitctl analytics unpin-first --free 10G
  ipfs-kitctl analytics unpin-first --free 10G -o cid | ipfs-kitctl pin rm - && ipfs-kitctl kubo gc")]
    UnpinFirst {
        /// Bytes that are wanted, such as 500MiB or 10G
        #[arg(long, value_name = "SIZE", value_parser = size)]
        free: u64,
        #[command(flatten)]
        show: Show,
    },
    /// How good the forecasts were, against what simple rules would have had
    #[command(after_help = "Examples:\n  ipfs-kitctl analytics score\n  ipfs-kitctl analytics score -o csv")]
    Score(Show),
    /// All of it on one page; as html a page for a browser, which needs no network
    #[command(after_help = "\
Examples:
  ipfs-kitctl analytics report
  ipfs-kitctl analytics report -o html > report.html")]
    Report {
        /// Rows of each list
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1000))]
        rows: u64,
    },
}
