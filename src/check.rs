//! `--check-config`: what the daemon would refuse, hold Kubo for or warn of, found by reading alone. Beyond what a configuration
//! says, whether what it names is there.

use crate::config::Config;
use crate::instance::{self, InstanceError};
use crate::kubo::{check, repo};
use std::path::Path;

/// What the daemon would run with and not be content with, each in a sentence; an error for what would end it at once.
pub fn paths(config: &Config) -> Result<Vec<String>, InstanceError> {
    for dir in [&config.data_dir, &config.runtime_dir] {
        instance::may_claim(dir)?;
    }
    let seen = check::now(config, None);
    let mut found: Vec<String> = seen.held.into_iter().map(|held| format!("{}; {}", held.detail, held.hint)).collect();
    if config.attach.is_none()
        && let Err(error) = instance::may_make(&config.ipfs_path)
    {
        found.push(format!("there is no repo, and none can be made: {}", crate::fault::chain(&error)));
    }
    if let Some(program) = config.hook.first().filter(|program| !repo::is_program(Path::new(program))) {
        found.push(format!("the hook {program} is no executable file"));
    }
    for log in &config.analytics.gateway_logs {
        if let Err(error) = crate::analytics::evidence::log_file::LogFile::open(log) {
            found.push(format!("accesses cannot be read there: {error}"));
        }
    }
    found.extend(seen.warnings.into_iter().map(|finding| format!("{}; {}", finding.detail, finding.hint)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use clap::Parser;
    use std::os::unix::fs::PermissionsExt;

    /// With these flags beside a place of its own and a program that is there.
    fn look(dir: &Path, more: &[&str]) -> Result<Vec<String>, InstanceError> {
        let place = |name: &str| dir.join(name).display().to_string();
        let program = std::env::current_exe().expect("a program").display().to_string();
        let (data, run, repo) = (place("new/data"), place("new/run"), place("new/repo"));
        let mut args = vec!["x", "--data-dir", &data, "--runtime-dir", &run, "--ipfs-path", &repo];
        if !more.contains(&"--kubo") {
            args.extend(["--kubo", &program]);
        }
        args.extend(more);
        paths(&Config::load(&Flags::parse_from(args)).expect("a configuration"))
    }

    fn secret(dir: &Path, mode: u32) -> String {
        let file = dir.join("secret");
        std::fs::write(&file, "bearer:x\n").expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("chmod");
        file.display().to_string()
    }

    #[test]
    fn what_is_named_and_not_there_is_told_and_nothing_is_made() {
        let dir = tempfile::tempdir().expect("a temp dir");
        assert_eq!(look(dir.path(), &[]).expect("usable"), Vec::<String>::new());
        let one = |more: &[&str], words: &str| {
            let found = look(dir.path(), more).expect("usable");
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        };
        one(&["--kubo", "/none/ipfs"], "/none/ipfs");
        one(&["--hook", "/none/notify"], "the hook /none/notify");
        one(&["--api-auth-file", "/none/secret"], "holds no secret");
        let config = dir.path().join("config.toml").display().to_string();
        std::fs::write(&config, "[analytics]\ngateway_logs = [\"/none/access.log\"]\n").expect("written");
        one(&["--config", &config], "/none/access.log is not there");
        one(&["--api-auth-file", &secret(dir.path(), 0o644)], "open to every user (mode 0644)");
        assert_eq!(look(dir.path(), &["--api-auth-file", &secret(dir.path(), 0o640)]).expect("usable").len(), 0);
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn a_repo_that_a_start_would_be_held_for_is_told() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let repo = dir.path().join("new/repo");
        std::fs::create_dir_all(&repo).expect("made");
        std::fs::write(repo.join("config"), "{ no JSON").expect("written");
        let found = look(dir.path(), &[]).expect("usable");
        assert!(found.len() == 1 && found[0].contains("cannot read"), "{found:?}");
        std::fs::rename(repo.join("config"), repo.join("other")).expect("moved");
        let found = look(dir.path(), &[]).expect("usable");
        assert!(found.len() == 1 && found[0].contains("has no Kubo config"), "{found:?}");
    }

    #[test]
    fn a_directory_that_the_daemon_would_refuse_is_an_error() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("new");
        std::fs::write(&file, "").expect("written");
        assert!(matches!(look(dir.path(), &[]), Err(InstanceError::Io { .. })));
        std::fs::remove_file(&file).expect("removed");
        std::fs::create_dir_all(file.join("data")).expect("made");
        std::fs::set_permissions(file.join("data"), PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(matches!(look(dir.path(), &[]), Err(InstanceError::Unsafe { .. })));
    }
}
