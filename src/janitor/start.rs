//! Before a start of Kubo: what is proven dead is cleaned, and what else is in the way is told with what to do about it.

use super::clean::{self, How, Outcome};
use super::evidence::{self, Looks};
use super::facts::{Holder, Kernel, Kind};
use super::places::Places;
use super::processes;
use proto_msgs::kubo::Held;
use proto_msgs::lock::{LockRole, Verdict};
use std::path::Path;

/// Clears the way for a start on this repo. Called while there is no child, so whoever holds a lock is somebody else. `looks`:
/// what the tries before have seen.
pub fn clear(repo: &Path, looks: &mut Looks) -> Result<(), Held> {
    let outcomes = clean::clean(&Places::of_repo(repo), looks, How::default(), &|| ());
    match outcomes.iter().find(|outcome| outcome.blocks()) {
        Some(outcome) => Err(held(outcome)),
        None => Ok(()),
    }
}

fn held(outcome: &Outcome) -> Held {
    let (found, judged) = (&outcome.found, &outcome.judged);
    let path = found.path.display();
    let by_itself = "the start follows by itself";
    let held = |cause: &str, detail: String, hint: String| Held { cause: cause.to_owned(), detail, hint };
    if found.evidence.role == LockRole::Socket && judged.verdict == Verdict::Live {
        let hint = "end the program that listens there, or give Kubo another address (`ipfs config Addresses.API`, `Addresses.Gateway`)";
        return held("address_in_use", format!("{path} is in use by {}", holder(found)), hint.to_owned());
    }
    if judged.verdict == Verdict::Live {
        let hint = format!("stop the other Kubo or wait (`ipfs-kitctl lock wait`): {by_itself} once the repo is free");
        return held("lock_live", format!("{path} is held by {}", holder(found)), hint);
    }
    let detail = format!("{path} is in the way: {}", outcome.why());
    let sure = "`ipfs-kitctl lock check` shows the evidence; make sure that no Kubo runs on this repo, anywhere, then";
    let hint = match &found.evidence.kind {
        Kind::Directory(_) if judged.needs_force => {
            let later = "the daemon looks again by itself and removes it once it is proven dead; at once:";
            format!("{later} {sure} `ipfs-kitctl lock clean --force`")
        }
        _ if judged.needs_force => format!("{sure} `ipfs-kitctl lock clean --force` settles it, and {by_itself}"),
        Kind::Unreadable(_) => {
            format!("give {path} to the user that runs ipfs-kitd, readable and writable; {by_itself}")
        }
        _ if judged.verdict == Verdict::Dead => format!("{sure} mend that or remove the file by hand, and {by_itself}"),
        Kind::File(_) | Kind::Directory(_) => {
            format!("{sure} end what the evidence names or move {path} away by hand, and {by_itself}")
        }
        _ => format!("{sure} move {path} away by hand, and {by_itself}"),
    };
    held("lock_unknown", detail, hint)
}

fn holder(found: &evidence::Found) -> String {
    match &found.evidence.kernel {
        Kernel::Held(Holder::Pid(pid)) => match processes::program(*pid) {
            Some(program) => format!("PID {pid} ({program})"),
            None => format!("PID {pid}"),
        },
        _ => "a process that can't be seen from here".to_owned(),
    }
}
