//! What Kubo's last words say of its end. Pure.
//!
//! Kubo exits with 1 for every error and says which in English, on a line that begins with `Error: `. Only errors that trying
//! again does not mend are looked for; the words are those of Kubo 0.43.1, and other words mean an ordinary crash.

use super::repo::held;
use proto_msgs::kubo::Held;

const REFUSED: &str = "change the repo's config as Kubo says";

/// Words, the cause that they mean, and what ends it.
const CAUSES: [(&str, &str, &str); 11] = [
    (
        "address already in use",
        "address_in_use",
        "end the program that listens there, or give Kubo another address (`ipfs config Addresses.API`, `Addresses.Gateway`)",
    ),
    ("deprecated configuration detected", "config_refused", REFUSED),
    ("failure to decode config", "config_refused", REFUSED),
    ("no longer disables the provide system", "config_refused", REFUSED),
    ("incorrectly formatted address filter", "config_refused", REFUSED),
    ("no usable bootstrap peers", "config_refused", REFUSED),
    ("unrecognized routing option", "config_refused", REFUSED),
    (
        "that supports the existing repo",
        "repo_too_new",
        "install a Kubo that is as new as the one that used this repo last",
    ),
    ("no space left on device", "disk_full", "make room on the repo's file system"),
    ("read-only file system", "repo_read_only", "mount the repo's file system for writing"),
    ("permission denied", "permission_denied", "give the repo's files to the user that runs ipfs-kitd"),
];

/// Why a Kubo that ended with this code and these last lines of output would end so again.
pub(super) fn permanent(code: Option<i32>, last_words: &[String]) -> Option<Held> {
    if code != Some(1) {
        return None;
    }
    last_words.iter().rev().find_map(|line| {
        let (_, cause, hint) = CAUSES.iter().find(|(words, ..)| line.contains(words))?;
        // Only what Kubo gives as its reason: a running Kubo says such things of much else.
        let error = line.strip_prefix("Error: ");
        let error = error.or_else(|| (*cause == "repo_too_new").then_some(line.as_str()))?;
        Some(held(cause, format!("Kubo: {}", error.trim()), *hint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, lines: &[&str]) -> Option<(String, String)> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        permanent(Some(code), &lines).map(|held| (held.cause, held.detail))
    }

    #[test]
    fn kubos_own_reason_is_recognised() {
        let in_use = "Error: serveHTTPGateway: manet.Listen(/ip4/127.0.0.1/tcp/18999) failed: listen tcp4 127.0.0.1:18999: bind: address already in use";
        let (cause, detail) = of(1, &["WebUI: http://127.0.0.1:45877/webui", "", in_use]).expect("held");
        assert_eq!(cause, "address_in_use");
        assert!(detail.contains("127.0.0.1:18999"), "{detail}");
        let refused = "Error: deprecated configuration detected. Manually migrate 'Reprovider' fields to 'Provide'";
        assert_eq!(of(1, &[refused]).expect("held").0, "config_refused");
        let newer = "Please update ipfs to a version that supports the existing repo, or run";
        assert_eq!(of(1, &[newer, "a migration in reverse."]).expect("held").0, "repo_too_new");
        let full = "Error: newManifest error: write MANIFEST-000000: no space left on device, cleanup error (<nil>)";
        assert_eq!(of(1, &[full]).expect("held").0, "disk_full");
    }

    #[test]
    fn everything_else_is_an_ordinary_crash() {
        assert_eq!(of(1, &[]), None);
        assert_eq!(of(1, &["Error: lock repo.lock: someone else has the lock"]), None, "the janitor says who");
        assert_eq!(of(2, &["Error: bind: address already in use"]), None);
        assert_eq!(of(1, &["2026-01-01 ERROR swarm: dial failed: permission denied"]), None, "a line of the log");
        assert_eq!(permanent(None, &["Error: no space left on device".to_owned()]), None);
    }
}
