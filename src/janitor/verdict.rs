//! What the evidence about one lock file means. Pure.
//!
//! Only the kernel says "live"; a PID in a file is for messages. What is not proven is unknown, and unknown counts as live.

use proto_msgs::lock::Verdict;

/// What the path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is there.
    Absent,
    /// A regular file of so many bytes.
    File(u64),
    /// A directory, the form that js-ipfs used.
    Directory,
    /// A link, a pipe, a device.
    Other(&'static str),
    /// It could not be looked at.
    Unreadable(String),
}

/// What the kernel says about the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// It was not asked, because there is no file to ask about.
    NotAsked,
    /// Nobody holds it.
    Free,
    /// Somebody does. A PID above 0 is one of our PID namespace; 0 belongs to an outer one, -1 to an open file description.
    Held(i32),
    /// The kernel or the file system cannot say.
    Unknown(String),
}

/// Everything that was seen of one lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the path is.
    pub kind: Kind,
    /// What the kernel says.
    pub kernel: Kernel,
    /// Whether an empty file is this lock's form, and content blocks a start (`repo.lock`); otherwise the content means nothing.
    pub empty_by_nature: bool,
    /// The file system, where the kernel's answer is about this host only.
    pub remote_fs: Option<&'static str>,
}

/// The verdict and what it rests on.
pub fn judge(evidence: &Evidence) -> (Verdict, Vec<String>) {
    let mut reasons = Vec::new();
    let verdict = match (&evidence.kind, &evidence.kernel) {
        (Kind::Absent, _) => {
            reasons.push("the file is absent".to_owned());
            Verdict::Idle
        }
        (Kind::Unreadable(why), _) => {
            reasons.push(format!("it cannot be looked at: {why}"));
            Verdict::Unknown
        }
        (Kind::Other(what), _) => {
            reasons.push(format!("it is {what}, which no version of Kubo makes"));
            Verdict::Unknown
        }
        (Kind::Directory, _) => {
            reasons.push("it is a directory, the lock of js-ipfs, which no kernel lock backs".to_owned());
            Verdict::Unknown
        }
        (Kind::File(_), Kernel::Held(pid)) => {
            reasons.push(match pid {
                0 => "the kernel says that a process of another PID namespace holds it".to_owned(),
                pid if *pid < 0 => "the kernel says that it is held through an open file description".to_owned(),
                pid => format!("the kernel says that PID {pid} holds it"),
            });
            Verdict::Live
        }
        (Kind::File(_), Kernel::Unknown(why)) => {
            reasons.push(format!("the kernel cannot say whether it is held: {why}"));
            Verdict::Unknown
        }
        (Kind::File(size), Kernel::Free | Kernel::NotAsked) => {
            reasons.push("the kernel says that nobody holds it".to_owned());
            if let Some(fs) = evidence.remote_fs {
                // Kubo's own lock is worth no more there, and holding every start would make such repos useless.
                reasons.push(format!("it lies on {fs}, where this kernel may not see what another host holds"));
            }
            if *size == 0 || !evidence.empty_by_nature {
                reasons.push("it is in nobody's way".to_owned());
                Verdict::Idle
            } else {
                reasons.push(format!("it holds {size} bytes, and Kubo starts only over an empty one"));
                Verdict::Unknown
            }
        }
    };
    (verdict, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: Kind, kernel: Kernel) -> Verdict {
        judge(&Evidence { kind, kernel, empty_by_nature: true, remote_fs: None }).0
    }

    #[test]
    fn only_the_kernel_makes_a_lock_live() {
        for pid in [1234, 0, -1] {
            assert_eq!(verdict(Kind::File(0), Kernel::Held(pid)), Verdict::Live);
            assert_eq!(verdict(Kind::File(9), Kernel::Held(pid)), Verdict::Live);
        }
        assert_eq!(verdict(Kind::File(0), Kernel::Free), Verdict::Idle);
        assert_eq!(verdict(Kind::Absent, Kernel::NotAsked), Verdict::Idle);
    }

    #[test]
    fn what_is_not_proven_is_unknown() {
        assert_eq!(verdict(Kind::File(0), Kernel::Unknown("ENOLCK".into())), Verdict::Unknown);
        assert_eq!(verdict(Kind::File(14), Kernel::Free), Verdict::Unknown);
        assert_eq!(verdict(Kind::Directory, Kernel::NotAsked), Verdict::Unknown);
        assert_eq!(verdict(Kind::Other("a symbolic link"), Kernel::NotAsked), Verdict::Unknown);
        assert_eq!(verdict(Kind::Unreadable("EACCES".into()), Kernel::NotAsked), Verdict::Unknown);
    }

    #[test]
    fn a_repo_on_a_network_file_system_can_be_started_and_the_doubt_is_told() {
        let nfs = |size| {
            let kind = Kind::File(size);
            judge(&Evidence { kind, kernel: Kernel::Free, empty_by_nature: true, remote_fs: Some("NFS") })
        };
        let (verdict, reasons) = nfs(0);
        assert_eq!(verdict, Verdict::Idle);
        assert!(reasons.iter().any(|reason| reason.contains("NFS")), "{reasons:?}");
        assert_eq!(nfs(9).0, Verdict::Unknown);
    }

    #[test]
    fn the_content_of_a_datastore_lock_means_nothing() {
        let seen = Evidence { kind: Kind::File(9), kernel: Kernel::Free, empty_by_nature: false, remote_fs: None };
        assert_eq!(judge(&seen).0, Verdict::Idle);
    }

    proptest::proptest! {
        #[test]
        fn live_is_what_the_kernel_says_and_nothing_else(
            kind in 0..5u8, size: u64, kernel in 0..4u8, pid: i32, empty_by_nature: bool, remote: bool,
        ) {
            let kind = match kind {
                0 => Kind::Absent,
                1 => Kind::File(size),
                2 => Kind::Directory,
                3 => Kind::Other("a pipe"),
                _ => Kind::Unreadable("EACCES".into()),
            };
            let kernel = match kernel {
                0 => Kernel::NotAsked,
                1 => Kernel::Free,
                2 => Kernel::Held(pid),
                _ => Kernel::Unknown("ENOLCK".into()),
            };
            let held = matches!((&kind, &kernel), (Kind::File(_), Kernel::Held(_)));
            let silent = matches!((&kind, &kernel), (Kind::File(_), Kernel::Unknown(_)));
            let evidence = Evidence { kind, kernel, empty_by_nature, remote_fs: remote.then_some("NFS") };
            let (verdict, reasons) = judge(&evidence);
            proptest::prop_assert_eq!(verdict == Verdict::Live, held);
            proptest::prop_assert!(!silent || verdict == Verdict::Unknown);
            proptest::prop_assert_ne!(verdict, Verdict::Dead);
            proptest::prop_assert!(!reasons.is_empty());
        }
    }
}
