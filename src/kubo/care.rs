//! What in a repo's config breaks Kubo, or can harm. Pure but for the name of the repo's owner; nothing is ever changed.
//!
//! What Kubo 0.43.1 does with each setting was tried; a setting that an older one takes and this one refuses is an error, since
//! the next start fails.

use crate::shell;
use jiff::SignedDuration;
use proto_msgs::doctor::{Finding, Severity};
use serde_json::Value;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The addresses that the config gives to Kubo's RPC.
pub(super) fn api(config: &Value) -> Vec<String> {
    addresses(config, "API")
}

/// The addresses that the config gives to one of Kubo's listeners, which may be one or a list.
pub(crate) fn addresses(config: &Value, listener: &str) -> Vec<String> {
    let of = &config["Addresses"][listener];
    let list = of.as_array().into_iter().flatten().chain(of.is_string().then_some(of));
    list.filter_map(|address| address.as_str().map(str::to_owned)).collect()
}

/// The version of repos that knows `Provide` and no longer `Provider` and `Reprovider`; Kubo migrates older ones at the start.
const PROVIDE: u32 = 18;

/// What is to be said of the config of this repo; `kubo_args`: how we would start Kubo, `None` when somebody else does.
pub(super) fn warnings(
    repo: &Path,
    config: &Value,
    repo_version: u32,
    kubo_args: Option<&[String]>,
    stop_grace: Duration,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let owner = repo.metadata().map_or_else(|_| "<owner of the repo>".to_owned(), |repo| shell::user(repo.uid()));
    let mut add = |severity, cause: &str, detail: String, hint: &str, command: Option<&str>| {
        // Without it the command would change the repo of whoever gives it; and root would leave the config to itself.
        let repo = shell::quoted(&repo.display().to_string());
        let command = command.map(|command| match command.strip_prefix("ipfs ") {
            Some(rest) => format!("sudo -u {owner} IPFS_PATH={repo} ipfs {rest}"),
            None => command.to_owned(),
        });
        found.push(Finding { cause: cause.to_owned(), severity, detail, hint: hint.to_owned(), command });
    };
    for section in ["Reprovider", "Provider"] {
        if repo_version >= PROVIDE && config[section].as_object().is_some_and(|section| !section.is_empty()) {
            add(
                Severity::Error,
                "config_refused",
                format!("{section} is set in the repo's config, and Kubo from 0.38 on refuses to start with it"),
                "say the same in Provide.* and remove the old section from the config file",
                Some("ipfs config edit"),
            );
        }
    }
    if is_zero(&config["Provide"]["DHT"]["Interval"]) && config["Provide"]["Enabled"].is_null() {
        add(
            Severity::Error,
            "config_refused",
            "Provide.DHT.Interval is 0 and Provide.Enabled is not set, and Kubo refuses to start with that".to_owned(),
            "say whether content is to be announced: set Provide.Enabled",
            Some("ipfs config --json Provide.Enabled <true|false>"),
        );
    }
    let filters = config["Swarm"]["AddrFilters"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for filter in filters.filter(|filter| !filter.starts_with('/')) {
        add(
            Severity::Error,
            "config_refused",
            format!("Swarm.AddrFilters has {filter:?}, which is no mask, and Kubo refuses to go online with it"),
            "write masks such as /ip4/10.0.0.0/ipcidr/8, or none",
            Some("ipfs config --json Swarm.AddrFilters '[]'"),
        );
    }
    let authorized = config["API"]["Authorizations"].as_object().is_some_and(|users| !users.is_empty());
    for address in api(config).iter().filter(|address| is_open(address) && !authorized) {
        add(
            Severity::Warning,
            "rpc_open",
            format!("Kubo's RPC listens on {address}: whoever reaches that port can do everything with this node"),
            "bind it to this machine, or set API.Authorizations",
            Some("ipfs config --json Addresses.API '\"/ip4/127.0.0.1/tcp/5001\"'"),
        );
    }
    let max = config["Datastore"]["StorageMax"].as_str().filter(|max| !max.is_empty());
    let bounded = |args: &[String]| args.iter().any(|arg| arg == "--enable-gc" || arg == "--enable-gc=true");
    if let (Some(max), Some(false)) = (max, kubo_args.map(bounded)) {
        add(
            Severity::Warning,
            "storage_unbounded",
            format!("Datastore.StorageMax is {max}, and nothing enforces it: Kubo runs without --enable-gc"),
            "add --enable-gc to kubo_args, so that what is not pinned is removed when the repo grows to that; or, as the command does, say that there is no limit",
            Some("ipfs config Datastore.StorageMax ''"),
        );
    }
    let patience = config["Internal"]["ShutdownTimeout"].as_str();
    let patience = patience.and_then(|text| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok());
    if let Some(patience) = patience.filter(|patience| *patience > stop_grace || patience.is_zero()) {
        add(
            Severity::Warning,
            "shutdown_timeout",
            format!(
                "Internal.ShutdownTimeout is {} s (0: none), and a Kubo that has not ended after {} s is killed",
                patience.as_secs(),
                stop_grace.as_secs()
            ),
            "set it below stop_grace, so that Kubo itself says what has held it up",
            Some("ipfs config Internal.ShutdownTimeout 45s"),
        );
    }
    found
}

fn is_zero(interval: &Value) -> bool {
    let text = interval.as_str().unwrap_or_default();
    text == "0" || text.parse::<SignedDuration>().is_ok_and(|interval| interval.is_zero())
}

/// Whether other machines can reach this address; a name counts as one that can.
fn is_open(address: &str) -> bool {
    let mut parts = address.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("unix"), _) => false,
        (_, Some("localhost")) => false,
        (_, Some(host)) => !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GRACE: Duration = Duration::from_secs(60);

    fn causes(config: &Value, args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        warnings(Path::new("/repo"), config, 18, Some(&args), GRACE).into_iter().map(|finding| finding.cause).collect()
    }

    #[test]
    fn a_config_as_kubo_makes_it_is_fine_once_its_storage_is_bounded() {
        let made = json!({
            "Addresses": {"API": "/ip4/127.0.0.1/tcp/5001"}, "Datastore": {"StorageMax": "10GB"}, "Internal": {},
            "Provide": {"DHT": {}}, "Reprovider": {}, "Swarm": {"AddrFilters": null}
        });
        assert_eq!(causes(&made, &["--enable-gc"]), Vec::<String>::new());
        assert_eq!(causes(&made, &[]), ["storage_unbounded"]);
        let mended = json!({"Datastore": {"StorageMax": ""}});
        assert!(causes(&mended, &[]).is_empty(), "what the command makes of it");
        assert!(
            warnings(Path::new("/repo"), &made, 18, None, GRACE).is_empty(),
            "how somebody else starts it is not known"
        );
        assert_eq!(api(&made), ["/ip4/127.0.0.1/tcp/5001"]);
    }

    #[test]
    fn what_the_roles_of_the_legacy_system_have_left_behind_is_found() {
        let old = json!({"Reprovider": {"Interval": "0"}});
        assert_eq!(causes(&old, &[]), ["config_refused"]);
        assert!(warnings(Path::new("/repo"), &old, 17, None, GRACE).is_empty(), "the start migrates it");
        assert_eq!(causes(&json!({"Provide": {"DHT": {"Interval": "0s"}}}), &[]), ["config_refused"]);
        assert!(causes(&json!({"Provide": {"Enabled": true, "DHT": {"Interval": "0"}}}), &[]).is_empty());
        assert_eq!(causes(&json!({"Swarm": {"AddrFilters": ["*"]}}), &[]), ["config_refused"]);
        assert!(causes(&json!({"Swarm": {"AddrFilters": ["/ip4/10.0.0.0/ipcidr/8"]}}), &[]).is_empty());
    }

    #[test]
    fn an_rpc_that_others_reach_is_found_unless_it_asks_for_a_secret() {
        for address in ["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001", "/ip4/192.168.1.2/tcp/5001", "/dns/box/tcp/5001"] {
            assert_eq!(causes(&json!({"Addresses": {"API": [address]}}), &[]), ["rpc_open"], "{address}");
        }
        for address in ["/ip4/127.0.0.1/tcp/5001", "/ip6/::1/tcp/5001", "/unix/run/api.sock", "/dns4/localhost/tcp/1"] {
            assert!(causes(&json!({"Addresses": {"API": address}}), &[]).is_empty(), "{address}");
        }
        let with_secret = json!({
            "Addresses": {"API": "/ip4/0.0.0.0/tcp/5001"}, "API": {"Authorizations": {"me": {"AuthSecret": "bearer:x"}}}
        });
        assert!(causes(&with_secret, &[]).is_empty());
    }

    #[test]
    fn a_shutdown_timeout_that_our_grace_cuts_short_is_found() {
        assert_eq!(causes(&json!({"Internal": {"ShutdownTimeout": "12h"}}), &[]), ["shutdown_timeout"]);
        assert!(causes(&json!({"Internal": {"ShutdownTimeout": "45s"}}), &[]).is_empty());
    }

    #[test]
    fn any_json_is_looked_at_without_harm() {
        for config in [json!(null), json!([]), json!({"Addresses": 7, "Swarm": {"AddrFilters": [1]}})] {
            assert!(causes(&config, &[]).is_empty());
        }
    }
}
