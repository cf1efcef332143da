//! `pin`: listing pins, asking about them, changing and marking them.

use super::Show;
use crate::parse::{pin_type, since, size};
use clap::Subcommand;
use jiff::Timestamp;
use proto_msgs::pin::PinType;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Pin {
    /// List pins
    #[command(
        after_help = "A size with ~ before it is estimated: the root block says so, and blocks that occur twice count twice.\n\nExamples:\n  ipfs-kitctl pin ls --sort size:desc --limit 10\n  ipfs-kitctl pin ls --name holidays -o cid"
    )]
    Ls(PinLs),
    /// Show what is known of CIDs, in any of their forms
    #[command(after_help = "Example:\n  ipfs-kitctl pin info bafy…")]
    Info {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID", add = crate::complete::cids())]
        cids: Vec<String>,
    },
    /// Have Kubo pin CIDs; returns when the index holds them too
    #[command(
        after_help = "Examples:\n  ipfs-kitctl pin add bafy… --name holidays\n  ipfs-kitctl pin add --detach - < cids"
    )]
    Add {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID", add = crate::complete::cids())]
        cids: Vec<String>,
        /// Name of the pin
        #[arg(long)]
        name: Option<String>,
        /// Pin the block alone, not what is below it
        #[arg(long)]
        direct: bool,
        /// Return at once: the daemon goes on by itself, and `events` tells how it ended, as long as it is among the newest
        /// thousand events. Where the daemon has too much under way this waits until it has room
        #[arg(long)]
        detach: bool,
    },
    /// Have Kubo pin a CID in the place of another one, under the same name; only what differs is fetched
    #[command(after_help = "\
Example:
  ipfs-kitctl pin update bafyOLD bafyNEW --keep")]
    Update {
        /// A recursive pin
        #[arg(value_name = "FROM", add = crate::complete::cids())]
        from: String,
        /// What takes its place
        #[arg(value_name = "TO")]
        to: String,
        /// Keep the pin of FROM, too
        #[arg(long)]
        keep: bool,
    },
    /// Have Kubo look whether every block with links of every recursive pin is in its repo (exit code 1 when one is missing). It does
    /// not look for raw blocks, of which most files consist
    #[command(after_help = "Example:\n  ipfs-kitctl pin verify -o ndjson")]
    Verify(Show),
    /// Have Kubo unpin CIDs
    #[command(
        after_help = "Examples:\n  ipfs-kitctl pin rm bafy…\n  ipfs-kitctl pin ls --tag draft -o cid | ipfs-kitctl pin rm -"
    )]
    Rm {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID", add = crate::complete::cids())]
        cids: Vec<String>,
    },
    /// Tag a CID, pinned or not: +TAG adds, -TAG removes, the CID alone shows
    #[command(
        override_usage = "ipfs-kitctl pin tag [OPTIONS] <CID> [+TAG|-TAG]...",
        after_help = "\
Options stand before the CID; `-` for the CID reads CIDs from standard input. A tag has at most 64 bytes, a CID at most 64 tags.
Tags stay when a CID is unpinned, and come back with it. v0 and v1 of a CID have tags of their own.

Examples:
  ipfs-kitctl pin tag bafy… +holidays -draft
  ipfs-kitctl pin ls --tag draft -o cid | ipfs-kitctl pin tag - +old"
    )]
    Tag {
        /// A CID, then +TAG or -TAG
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CID [+TAG|-TAG]...", add = crate::complete::cids())]
        words: Vec<String>,
    },
    /// Put a note on a CID, pinned or not; the CID alone shows it
    #[command(after_help = "Example:\n  ipfs-kitctl pin note bafy… \"of the trip\"")]
    Note {
        /// A CID; `-` reads CIDs from standard input
        #[arg(add = crate::complete::cids())]
        cid: String,
        /// One line of at most 4096 bytes; `-` or '' takes the note away
        text: Option<String>,
    },
    /// Say in which storage tier a CID should be, pinned or not; the CID alone shows it
    #[command(after_help = "Example:\n  ipfs-kitctl pin tier bafy… hot")]
    Tier {
        /// A CID; `-` reads CIDs from standard input
        #[arg(add = crate::complete::cids())]
        cid: String,
        /// At most 32 letters a-z, digits, _ and -; `-` takes the tier away
        #[arg(add = crate::complete::tiers())]
        tier: Option<String>,
        /// Take the tier away
        #[arg(long, conflicts_with = "tier")]
        clear: bool,
    },
    /// What has happened to the pins, newest first: added, renamed, retyped, removed
    #[command(after_help = "Examples:\n  ipfs-kitctl pin history --limit 20\n  ipfs-kitctl pin history bafy… -o csv")]
    History {
        /// Only of this CID, in any form, pinned or not
        #[arg(value_name = "CID", add = crate::complete::cids())]
        cid: Option<String>,
        #[command(flatten)]
        show: Show,
    },
    /// In which pins two generations differ
    #[command(after_help = "Example:\n  ipfs-kitctl pin diff 12 34 --sort event")]
    Diff {
        /// What counts as before; `pin history` shows the generations
        #[arg(value_name = "GEN1", add = crate::complete::generations())]
        from: u64,
        /// What counts as after; it may be the older one
        #[arg(value_name = "GEN2", add = crate::complete::generations())]
        to: u64,
        #[command(flatten)]
        show: Show,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PinLs {
    /// Only recursive or direct pins
    #[arg(long = "type", value_name = "TYPE", value_parser = pin_type, add = crate::complete::words(&["recursive", "direct"]))]
    pub(crate) pin_type: Option<PinType>,
    /// Only pins whose name contains this
    #[arg(long, add = crate::complete::names())]
    pub(crate) name: Option<String>,
    /// Only pins with this tag
    #[arg(long, add = crate::complete::tags())]
    pub(crate) tag: Option<String>,
    /// Only pins that people put into this tier
    #[arg(long, add = crate::complete::tiers())]
    pub(crate) tier: Option<String>,
    /// Only pins of at least this size, such as 512, 1.5MB or 1GiB; those of unknown size are left out
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) min_size: Option<u64>,
    /// Only pins first seen from this time on, such as 48h or 7d (ago), 2026-11-21 (UTC) or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) show: Show,
}
