//! Before a start of Kubo: what is proven dead is cleaned, and what else is in the way is told with what to do about it.

use super::advice;
use super::clean::{self, How, Outcome};
use super::evidence::{self, Looks};
use super::facts::{Holder, Kernel};
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
    let held = |cause: &str, detail: String| {
        let hint = match judged.verdict {
            // It could not be cleaned.
            Verdict::Dead => format!("mend that, or move {path} away by hand, and the start follows by itself"),
            _ => advice::of(found, judged).unwrap_or_default(),
        };
        Held { cause: cause.to_owned(), detail, hint }
    };
    match (judged.verdict, found.evidence.role) {
        (Verdict::Live, LockRole::Socket) => held("address_in_use", format!("{path} is in use by {}", holder(found))),
        (Verdict::Live, _) => held("lock_live", format!("{path} is held by {}", holder(found))),
        _ => held("lock_unknown", format!("{path} is in the way: {}", outcome.why())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_needs_two_looks_is_cleaned_by_a_later_try_which_knows_of_the_first() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let lock = dir.path().join("repo.lock");
        for time in [SystemTime::now() - Duration::from_secs(200), SystemTime::now() + Duration::from_secs(86400)] {
            std::fs::create_dir(&lock).expect("made");
            let times = std::fs::FileTimes::new().set_modified(time);
            std::fs::File::open(&lock).and_then(|dir| dir.set_times(times)).expect("dated");
            let mut looks = Looks::default();
            let first = clear(dir.path(), &mut looks).expect_err("held");
            assert_eq!(clear(dir.path(), &mut looks), Err(first.clone()), "nothing new, and nothing else is said");
            assert!(first.cause == "lock_unknown" && first.hint.contains("the daemon looks again"), "{first:?}");
            looks.age(Duration::from_secs(101));
            assert_eq!(clear(dir.path(), &mut looks), Ok(()));
            assert!(!lock.exists());
        }
    }
}
