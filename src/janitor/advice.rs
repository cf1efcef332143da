//! What to do about a file: the same words for whoever waits for a start, looks at the locks, or asks the doctor. Pure.

use super::evidence::Found;
use super::facts::Kind;
use super::verdict::Judgement;
use proto_msgs::lock::{LockAction, LockRole, Verdict};

/// What helps; `None` where nothing is to be done.
pub(super) fn of(found: &Found, judged: &Judgement) -> Option<String> {
    let path = found.path.display();
    let then = if judged.blocks { ", and the start follows by itself" } else { "" };
    let sure = "`ipfs-kitctl lock check` shows the evidence; make sure that nobody uses this repo, here or anywhere else, then";
    let later = "the daemon looks again by itself and removes it once it is proven dead";
    let force = "`ipfs-kitctl lock clean --force`";
    Some(match (judged.verdict, found.evidence.role, &found.evidence.kind) {
        (Verdict::Idle, ..) => return None,
        (Verdict::Live, LockRole::Socket, _) => {
            "end the program that listens there, or give Kubo another address (`ipfs config Addresses.API`, `Addresses.Gateway`)"
                .to_owned()
        }
        (Verdict::Live, ..) if judged.blocks => {
            format!("stop the other Kubo or wait (`ipfs-kitctl lock wait`) until the repo is free{then}")
        }
        (Verdict::Live, ..) => return None,
        (Verdict::Dead, ..) => "nothing; it is cleaned before a start, and by `ipfs-kitctl lock clean`".to_owned(),
        (Verdict::Unknown, _, Kind::Directory(_)) if judged.needs_force => format!("{later}; at once: {sure} {force}"),
        (Verdict::Unknown, ..) if judged.needs_force => format!("{sure} {force} settles it{then}"),
        (Verdict::Unknown, ..) if judged.action != LockAction::None => {
            format!("`ipfs-kitctl lock clean` finds out what a look can't, and clears it away if nobody holds it{then}")
        }
        // Kubo asks the kernel for it itself.
        (Verdict::Unknown, LockRole::Datastore, Kind::File(_)) => return None,
        (Verdict::Unknown, _, Kind::Unreadable(_)) => {
            format!("give {path} to the user that runs ipfs-kitd, readable and writable{then}")
        }
        (Verdict::Unknown, LockRole::RepoLock, Kind::Directory(directory)) if directory.empty => {
            format!("{later}; if it never is: {sure} end what the evidence names{then}")
        }
        (Verdict::Unknown, _, Kind::File(_) | Kind::Directory(_)) => {
            format!("{sure} end what the evidence names or move {path} away by hand{then}")
        }
        (Verdict::Unknown, ..) => format!("{sure} move {path} away by hand{then}"),
    })
}
