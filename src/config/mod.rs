//! The configuration: flag > environment > file > default, each value with where it came from.
//!
//! `load` reads the outside world once; everything after it gets a resolved [`Config`]. A configuration that cannot be used is
//! exit code 78, because a restart would not help.

pub mod access;
mod analytics;
mod attach;
mod flags;
mod layers;
mod snapshot;

pub use access::Access;
pub use analytics::Analytics;
pub use attach::Attach;
pub use flags::Flags;
use layers::{Layers, Sourced, duration, duration_text, located, parsed, setting, some, words};
use proto_msgs::daemon::Setting;
use serde::Deserialize;
pub use snapshot::Snapshot;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every setting, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the index, the journal and the snapshots live.
    pub data_dir: PathBuf,
    /// Where the sockets live.
    pub runtime_dir: PathBuf,
    /// Kubo's repo.
    pub ipfs_path: PathBuf,
    /// Kubo's program: a path, or a name to look up in `PATH`.
    pub kubo: PathBuf,
    /// Arguments after `ipfs daemon --migrate`.
    pub kubo_args: Vec<String>,
    /// Profiles for `ipfs init`.
    pub init_profiles: Vec<String>,
    /// The least time from the start of one refresh to the start of the next.
    pub interval: Duration,
    /// The largest share of wall time that refreshes may take.
    pub busy_share: f64,
    /// The largest share of wall time that each of the two looks for sizes may take; zero: sizes are not looked for.
    pub size_share: f64,
    /// From one sample of the node's state to the next; zero: it is not measured.
    pub state_interval: Duration,
    /// How long samples are kept.
    pub state_keep: Duration,
    /// How long it stays known which pins there were, came and went.
    pub history_keep: Duration,
    /// How long Kubo may take to stop before it is killed.
    pub stop_grace: Duration,
    /// How long Kubo may take to become ready.
    pub start_timeout: Duration,
    /// How long a Kubo that was ready may answer nothing before it is restarted; zero: for ever.
    pub hang_limit: Duration,
    /// Where the Kubo that somebody else runs is found; `None`: we run one.
    pub attach: Option<Attach>,
    /// The file with the secret that Kubo's RPC asks for.
    pub api_auth_file: Option<PathBuf>,
    /// Program and arguments to run when Kubo's state changes; empty: none.
    pub hook: Vec<String>,
    /// Who else may ask for what.
    pub access: Access,
    /// Accesses, and what is made of them.
    pub analytics: Analytics,
    /// What is published as files.
    pub snapshot: Snapshot,
    /// Each of the above as text, with its source.
    pub settings: Vec<Setting>,
}

/// Settings that a reload applies, and those of a table.
const LIVE: [&str; 10] = [
    "interval",
    "busy_share",
    "size_share",
    "state_interval",
    "state_keep",
    "history_keep",
    "stop_grace",
    "start_timeout",
    "hang_limit",
    "hook",
];
const LIVE_TABLES: [&str; 3] = ["snapshot.", "access.", "analytics."];

/// Settings without a default, and what each may be.
const EXAMPLES: [(&str, &str); 2] = [("attach", "/ip4/127.0.0.1/tcp/5001"), ("api_auth_file", "/etc/ipfs-kitd/secret")];

fn is_live(key: &str) -> bool {
    LIVE.contains(&key) || LIVE_TABLES.iter().any(|table| key.starts_with(table))
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("the configuration file {path} is wrong: {detail}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        detail: String,
    },
    /// A value makes no sense.
    #[error("{key} = {value:?} ({source_text}) is not {wanted}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What stands there.
        value: String,
        /// Where it stands.
        source_text: String,
        /// What could stand there.
        wanted: &'static str,
    },
    /// Neither a flag nor the environment says where the user's files are.
    #[error("HOME is not set, so {0} has no default; give --{0}")]
    NoHome(&'static str),
    /// A socket path has to fit into 108 bytes.
    #[error("the socket path {0} is longer than the 107 bytes that the kernel allows; give a shorter --runtime-dir")]
    SocketPath(PathBuf),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    ipfs_path: Option<PathBuf>,
    kubo: Option<PathBuf>,
    kubo_args: Option<Vec<String>>,
    init_profiles: Option<Vec<String>>,
    interval: Option<String>,
    busy_share: Option<f64>,
    size_share: Option<f64>,
    state_interval: Option<String>,
    state_keep: Option<String>,
    history_keep: Option<String>,
    stop_grace: Option<String>,
    start_timeout: Option<String>,
    hang_limit: Option<String>,
    attach: Option<String>,
    api_auth_file: Option<PathBuf>,
    hook: Option<Vec<String>>,
    snapshot: Option<snapshot::File>,
    access: Option<access::File>,
    analytics: Option<analytics::File>,
}

impl Config {
    /// Reads the file and the environment and resolves every setting.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        Config::resolve(flags, &|name| env::var(name).ok(), &|path| path.exists())
    }

    fn resolve(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Result<Config, ConfigError> {
        let home = env("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
        let in_home = |name: &str, key| home.as_ref().map(|h| h.join(name)).ok_or(ConfigError::NoHome(key));
        let path = config_file(flags, env, exists, home.as_deref());
        let file = path.as_deref().map(read).transpose()?.unwrap_or_default();
        let layers = Layers { env, file: path.as_deref() };

        let data_dir = layers
            .pick_from(
                "data_dir",
                flags.data_dir.clone(),
                &["IPFS_KITD_DATA_DIR", "STATE_DIRECTORY"],
                PathBuf::from,
                file.data_dir,
            )
            .map_or_else(|| in_home(".ipfs_kit", "data-dir").map(Sourced::from_default), Ok)?;
        let data_dir = located("data_dir", data_dir)?;
        let runtime_dir = layers
            .pick_from(
                "runtime_dir",
                flags.runtime_dir.clone(),
                &["IPFS_KITD_RUNTIME_DIR", "RUNTIME_DIRECTORY"],
                PathBuf::from,
                file.runtime_dir,
            )
            .unwrap_or_else(|| match env("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
                Some(dir) => Sourced::from_default(Path::new(&dir).join("ipfs-kitd")),
                None => Sourced::from_default(data_dir.value.join("run")),
            });
        let runtime_dir = located("runtime_dir", runtime_dir)?;
        let ipfs_path = layers
            .pick_from("ipfs_path", flags.ipfs_path.clone(), &["IPFS_PATH"], PathBuf::from, file.ipfs_path)
            .unwrap_or_else(|| match home.as_ref().map(|h| h.join(".ipfs")).filter(|p| exists(p)) {
                Some(existing) => Sourced::from_default(existing),
                None => Sourced::from_default(data_dir.value.join("ipfs")),
            });
        let ipfs_path = located("ipfs_path", ipfs_path)?;
        let kubo = layers
            .pick("kubo", flags.kubo.clone(), PathBuf::from, file.kubo)
            .unwrap_or_else(|| Sourced::from_default(PathBuf::from("ipfs")));
        // A bare name is looked up in PATH; anything with a slash means a file.
        let kubo = if kubo.value.file_name() == Some(kubo.value.as_os_str()) { kubo } else { located("kubo", kubo)? };
        let kubo_args = layers
            .pick_from("kubo_arg", some(&flags.kubo_arg), &["IPFS_KITD_KUBO_ARGS"], words, file.kubo_args)
            .unwrap_or_else(|| Sourced::from_default(Vec::new()));
        let init_profiles = layers
            .pick_from(
                "init_profile",
                some(&flags.init_profile),
                &["IPFS_KITD_INIT_PROFILES"],
                words,
                file.init_profiles,
            )
            .unwrap_or_else(|| Sourced::from_default(Vec::new()));
        let span = |key, flag: &Option<String>, file, default, wanted, least| {
            duration(&layers, key, (flag.clone(), file), default, wanted, least)
        };
        let (tenth, second, hour) = (Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3600));
        let wanted = "a duration from 100ms to 8760h, such as 30s or 5m";
        let interval = span("interval", &flags.interval, file.interval, "30s", wanted, tenth)?;
        let wanted = "0s for never, or a duration from 1s to 8760h, such as 1m";
        let state_interval = span("state_interval", &None, file.state_interval, "1m", wanted, Duration::ZERO)?;
        if !state_interval.value.is_zero() && state_interval.value < second {
            let value = duration_text(state_interval.value);
            return Err(ConfigError::Value {
                key: "state_interval",
                value,
                source_text: state_interval.source,
                wanted,
            });
        }
        let wanted = "a duration from 1h to 8760h, such as 720h";
        let state_keep = span("state_keep", &None, file.state_keep, "720h", wanted, hour)?;
        let wanted = "a duration from 1h to 8760h, such as 2160h";
        let history_keep = span("history_keep", &None, file.history_keep, "8760h", wanted, hour)?;
        let wanted = "a duration from 100ms to 8760h, such as 60s";
        let stop_grace = span("stop_grace", &flags.stop_grace, file.stop_grace, "60s", wanted, tenth)?;
        let wanted = "a duration from 1s to 8760h, such as 10m";
        let start_timeout = span("start_timeout", &flags.start_timeout, file.start_timeout, "10m", wanted, second)?;
        let wanted = "a duration up to 8760h, such as 10m, or 0s for never";
        let hang_limit = span("hang_limit", &flags.hang_limit, file.hang_limit, "10m", wanted, Duration::ZERO)?;
        let attach = layers.pick("attach", flags.attach.clone(), std::convert::identity, file.attach);
        let attach = attach.map(attach::parse).transpose()?;
        let api_auth_file = layers
            .pick("api_auth_file", flags.api_auth_file.clone(), PathBuf::from, file.api_auth_file)
            .map(|path| located("api_auth_file", path))
            .transpose()?;
        let hook = layers
            .pick("hook", some(&flags.hook), words, file.hook)
            .unwrap_or_else(|| Sourced::from_default(Vec::new()));
        if let Some(program) = hook.value.first().filter(|program| !Path::new(program).is_absolute()) {
            let (value, source_text) = (program.clone(), hook.source);
            return Err(ConfigError::Value {
                key: "hook",
                value,
                source_text,
                wanted: "a program with an absolute path",
            });
        }
        let busy = ("busy_share", "a share of wall time above 0 and at most 1");
        let busy_share = parsed(&layers, busy, file.busy_share, 0.2, |share| *share > 0.0 && *share <= 1.0)?;
        let size = ("size_share", "a share of wall time from 0 (sizes are not looked for) to 1");
        let size_share = parsed(&layers, size, file.size_share, 0.1, |share| (0.0..=1.0).contains(share))?;

        let (snapshot, snapshot_settings) = snapshot::resolve(&layers, file.snapshot)?;
        let (access, access_settings) = access::resolve(&layers, file.access);
        let (analytics, analytics_settings) = analytics::resolve(&layers, file.analytics)?;
        let quoted = |p: &PathBuf| toml::Value::from(p.display().to_string()).to_string();
        let list = |l: &Vec<String>| toml::Value::from(l.clone()).to_string();
        let spanned = |d: &Duration| toml::Value::from(duration_text(*d)).to_string();
        let mut settings = vec![
            setting("data_dir", &data_dir, quoted),
            setting("runtime_dir", &runtime_dir, quoted),
            setting("ipfs_path", &ipfs_path, quoted),
            setting("kubo", &kubo, quoted),
            setting("kubo_args", &kubo_args, list),
            setting("init_profiles", &init_profiles, list),
            setting("interval", &interval, spanned),
            setting("busy_share", &busy_share, f64::to_string),
            setting("size_share", &size_share, f64::to_string),
            setting("state_interval", &state_interval, spanned),
            setting("state_keep", &state_keep, spanned),
            setting("history_keep", &history_keep, spanned),
            setting("stop_grace", &stop_grace, spanned),
            setting("start_timeout", &start_timeout, spanned),
            setting("hang_limit", &hang_limit, spanned),
            setting("hook", &hook, list),
        ];
        // These have no default that a file could name.
        settings.extend(
            attach
                .as_ref()
                .map(|attach| setting("attach", attach, |attach| toml::Value::from(attach.to_string()).to_string())),
        );
        settings.extend(api_auth_file.as_ref().map(|file| setting("api_auth_file", file, quoted)));
        settings.extend(access_settings);
        settings.extend(analytics_settings);
        settings.extend(snapshot_settings);
        let config = Config {
            data_dir: data_dir.value,
            runtime_dir: runtime_dir.value,
            ipfs_path: ipfs_path.value,
            kubo: kubo.value,
            kubo_args: kubo_args.value,
            init_profiles: init_profiles.value,
            interval: interval.value,
            busy_share: busy_share.value,
            size_share: size_share.value,
            state_interval: state_interval.value,
            state_keep: state_keep.value,
            history_keep: history_keep.value,
            stop_grace: stop_grace.value,
            start_timeout: start_timeout.value,
            hang_limit: hang_limit.value,
            attach: attach.map(|attach| attach.value),
            api_auth_file: api_auth_file.map(|file| file.value),
            hook: hook.value,
            access,
            analytics,
            snapshot,
            settings,
        };
        for socket in [config.socket(), config.private_dir().join("kubo-notify.sock")] {
            if socket.as_os_str().len() > 107 {
                return Err(ConfigError::SocketPath(socket));
            }
        }
        Ok(config)
    }

    /// The settings as a configuration file, each with its source behind it.
    pub fn listing(&self) -> String {
        let set = self.settings.iter().map(|s| format!("{} = {}  # {}\n", s.key, s.value, s.source));
        let unset = EXAMPLES.iter().filter(|(key, _)| self.settings.iter().all(|s| s.key != *key));
        set.chain(unset.map(|(key, example)| format!("# {key} = {example:?}  # not set; an example\n"))).collect()
    }

    /// The socket that clients use.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join(proto_msgs::SOCKET_NAME)
    }

    /// Whether the repo is a node's that we are to keep: we run it, or somebody has named it. Beside a Kubo that is followed at an
    /// address the default is only a guess.
    pub fn names_repo(&self) -> bool {
        let chosen = self.settings.iter().any(|s| s.key == "ipfs_path" && s.source != layers::DEFAULT);
        chosen || !matches!(self.attach, Some(Attach::At(_)))
    }

    /// Kubo's RPC and notify sockets, for nobody else.
    pub fn private_dir(&self) -> PathBuf {
        self.runtime_dir.join("private")
    }

    /// The index file's directory.
    pub fn index_dir(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// The directory of the journal of marks.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// Where snapshots are published.
    pub fn snapshot_dir(&self) -> PathBuf {
        self.data_dir.join("snapshots")
    }

    /// What analytics has counted and learnt.
    pub fn analytics_dir(&self) -> PathBuf {
        self.data_dir.join("analytics")
    }

    /// Where backups may be in the data dir, and where an index goes that another one replaces.
    pub fn backup_dir(&self) -> PathBuf {
        self.data_dir.join("backups")
    }

    /// PeerID and repo path of the node that this data dir belongs to.
    pub fn node_file(&self) -> PathBuf {
        self.data_dir.join("node.json")
    }

    /// This configuration with those settings of `new` that apply without a restart.
    #[must_use]
    pub fn with_live(&self, new: Config) -> Config {
        let mut config = self.clone();
        config.interval = new.interval;
        config.busy_share = new.busy_share;
        config.size_share = new.size_share;
        config.state_interval = new.state_interval;
        config.state_keep = new.state_keep;
        config.history_keep = new.history_keep;
        config.stop_grace = new.stop_grace;
        config.start_timeout = new.start_timeout;
        config.hang_limit = new.hang_limit;
        config.hook = new.hook;
        config.access = new.access;
        config.analytics = new.analytics;
        config.snapshot = new.snapshot;
        for old in &mut config.settings {
            if let Some(new) = new.settings.iter().find(|new| new.key == old.key && is_live(&new.key)) {
                *old = new.clone();
            }
        }
        config
    }

    /// Settings in which `other` differs and which only a restart of the daemon changes.
    pub fn needs_restart(&self, other: &Config) -> Vec<String> {
        let missing = |of: &Config, setting: &Setting| {
            !is_live(&setting.key) && !of.settings.iter().any(|s| s.key == setting.key && s.value == setting.value)
        };
        let gone = self.settings.iter().filter(|setting| missing(other, setting));
        let new = other.settings.iter().filter(|setting| missing(self, setting));
        let mut keys: Vec<String> = gone.chain(new).map(|setting| setting.key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

fn config_file(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&Path) -> bool,
    home: Option<&Path>,
) -> Option<PathBuf> {
    if let Some(path) = flags.config.clone().or_else(|| env("IPFS_KITD_CONFIG").map(PathBuf::from)) {
        return Some(path);
    }
    let xdg = env("XDG_CONFIG_HOME").filter(|d| !d.is_empty()).map(PathBuf::from).or(home.map(|h| h.join(".config")));
    // Of a service: each instance of the template has one of its own.
    let service = env("CONFIGURATION_DIRECTORY").map(|d| Path::new(&d).join("config.toml"));
    let user = xdg.map(|d| d.join("ipfs-kitd/config.toml"));
    let candidates = [service, user, Some("/etc/ipfs-kitd/config.toml".into())];
    candidates.into_iter().flatten().find(|p| exists(p))
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|s| text.get(..s.start).unwrap_or(&text).matches('\n').count());
        let place = line.map(|line| {
            let words = text.lines().nth(line).unwrap_or_default().trim();
            format!("line {} ({}): ", line + 1, words.chars().take(100).collect::<String>())
        });
        let place = place.unwrap_or_default();
        ConfigError::Malformed { path: path.to_owned(), detail: format!("{place}{}", error.message()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn resolve(flags: &[&str], env: &[(&str, &str)], dir: &Path) -> Result<Config, ConfigError> {
        let flags = Flags::parse_from(std::iter::once("ipfs-kitd").chain(flags.iter().copied()));
        let env = |name: &str| env.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        Config::resolve(&flags, &env, &|p| p.starts_with(dir) && p.exists())
    }

    fn source<'a>(config: &'a Config, key: &str) -> &'a str {
        config.settings.iter().find(|s| s.key == key).map(|s| s.source.as_str()).expect("a known key")
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "interval = \"1m\"\nstop_grace = \"5s\"\nstart_timeout = \"2m\"\n").expect("written");
        let home = dir.path().to_str().expect("UTF-8");
        let file_flag = file.to_str().expect("UTF-8");
        let env = [("HOME", home), ("IPFS_KITD_INTERVAL", "2m"), ("IPFS_KITD_STOP_GRACE", "6s")];
        let config = resolve(&["--config", file_flag, "--interval", "3m"], &env, dir.path()).expect("resolves");
        assert_eq!(config.interval, Duration::from_secs(180));
        assert_eq!(source(&config, "interval"), "flag --interval");
        assert_eq!(config.stop_grace, Duration::from_secs(6));
        assert_eq!(source(&config, "stop_grace"), "environment IPFS_KITD_STOP_GRACE");
        assert_eq!(config.start_timeout, Duration::from_secs(120));
        assert_eq!(source(&config, "start_timeout"), format!("file {file_flag}"));
        assert_eq!(source(&config, "kubo"), "default");
        assert_eq!(config.data_dir, dir.path().join(".ipfs_kit"));
        assert_eq!(config.ipfs_path, dir.path().join(".ipfs_kit/ipfs"));
    }

    #[test]
    fn an_existing_repo_in_the_home_directory_is_taken() {
        let dir = tempfile::tempdir().expect("a temp dir");
        std::fs::create_dir(dir.path().join(".ipfs")).expect("made");
        let env = [("HOME", dir.path().to_str().expect("UTF-8"))];
        assert_eq!(resolve(&[], &env, dir.path()).expect("resolves").ipfs_path, dir.path().join(".ipfs"));
    }

    #[test]
    fn an_instance_of_a_service_reads_its_own_file_before_the_one_of_all() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let home = dir.path().to_str().expect("UTF-8");
        let own = dir.path().join("ipfs-kitd-one");
        let all = dir.path().join(".config/ipfs-kitd");
        for (dir, interval) in [(&own, "7m"), (&all, "8m")] {
            std::fs::create_dir_all(dir).expect("made");
            std::fs::write(dir.join("config.toml"), format!("interval = \"{interval}\"\n")).expect("written");
        }
        let env = [("HOME", home), ("CONFIGURATION_DIRECTORY", own.to_str().expect("UTF-8"))];
        assert_eq!(resolve(&[], &env, dir.path()).expect("resolves").interval, Duration::from_secs(7 * 60));
        std::fs::remove_file(own.join("config.toml")).expect("removed");
        assert_eq!(resolve(&[], &env, dir.path()).expect("resolves").interval, Duration::from_secs(8 * 60));
    }

    #[test]
    fn wrong_values_are_named_with_their_source() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let env = [("HOME", "/h"), ("IPFS_KITD_INTERVAL", "soon")];
        let error = resolve(&[], &env, dir.path()).expect_err("no duration").to_string();
        assert!(error.starts_with("interval = \"soon\" (environment IPFS_KITD_INTERVAL) is not a duration"), "{error}");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "\n\ninterwal = \"1m\"\n").expect("written");
        let error = resolve(&["--config", file.to_str().expect("UTF-8")], &[("HOME", "/h")], dir.path());
        let error = error.expect_err("an unknown key").to_string();
        assert!(error.contains("line 3") && error.contains("interwal"), "{error}");
        let long = format!("/{}", "x".repeat(100));
        assert!(matches!(
            resolve(&["--runtime-dir", &long], &[("HOME", "/h")], dir.path()),
            Err(ConfigError::SocketPath(_))
        ));
        assert!(matches!(resolve(&[], &[], dir.path()), Err(ConfigError::NoHome(_))));
    }

    #[test]
    fn the_examples_of_the_pages_are_configuration_files() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let page = |name| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name));
        let pages = ["OPERATIONS.md", "DATA.md"].map(|name| page(name).expect("readable")).concat();
        let examples: Vec<&str> =
            pages.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(examples.len() >= 3);
        for example in examples {
            let file = dir.path().join("config.toml");
            std::fs::write(&file, example).expect("written");
            let config = resolve(&["--config", file.to_str().expect("UTF-8")], &[("HOME", "/h")], dir.path());
            assert!(config.is_ok(), "{example}{config:?}");
        }
    }

    #[test]
    fn a_kubo_of_another_machine_and_a_hook_without_a_place_are_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let refused = |flags: &[&str]| resolve(flags, &[("HOME", "/h")], dir.path()).expect_err("refused").to_string();
        let error = refused(&["--attach", "/ip4/10.0.0.7/tcp/5001"]);
        assert!(
            error.contains("flag --attach") && error.contains("this machine") && error.contains("`repo`"),
            "{error}"
        );
        assert!(refused(&["--hook", "notify"]).contains("absolute path"));
        let config = resolve(&["--attach", "http://localhost:5001"], &[("HOME", "/h")], dir.path()).expect("resolves");
        assert_eq!(config.attach.map(|attach| attach.to_string()).as_deref(), Some("/ip4/127.0.0.1/tcp/5001"));
    }

    #[test]
    fn beside_a_kubo_at_an_address_only_a_repo_that_is_named_counts() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let names = |flags: &[&str], env: &[(&str, &str)]| {
            let env: Vec<_> = [("HOME", "/h")].iter().chain(env).copied().collect();
            resolve(flags, &env, dir.path()).expect("resolves").names_repo()
        };
        let at = "/ip4/127.0.0.1/tcp/5001";
        assert!(names(&[], &[]) && names(&["--attach", "repo"], &[]));
        assert!(!names(&["--attach", at], &[]));
        assert!(names(&["--attach", at, "--ipfs-path", "/r"], &[]) && names(&["--attach", at], &[("IPFS_PATH", "/r")]));
    }

    #[test]
    fn what_is_printed_is_a_configuration_file() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let env = [("HOME", "/h"), ("IPFS_KITD_KUBO_ARGS", "--offline --enable-gc")];
        let config = resolve(&[], &env, dir.path()).expect("resolves");
        let file = dir.path().join("config.toml");
        assert!(config.listing().contains("\n# attach = \"") && config.listing().contains("\n# api_auth_file = \""));
        std::fs::write(&file, config.listing()).expect("written");
        let again = resolve(&["--config", file.to_str().expect("UTF-8")], &[], dir.path()).expect("resolves");
        assert_eq!(again.kubo_args, ["--offline", "--enable-gc"]);
        assert_eq!(
            again.settings.iter().map(|s| &s.value).collect::<Vec<_>>(),
            config.settings.iter().map(|s| &s.value).collect::<Vec<_>>()
        );
    }
}
