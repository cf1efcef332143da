//! Where a Kubo that somebody else runs is found, as a setting.

use super::ConfigError;
use super::layers::Sourced;
use crate::kubo::address::Address;

/// Where the Kubo that somebody else runs is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// At the address in the repo's `api` file, read anew each time.
    Repo,
    /// Here.
    At(Address),
}

impl std::fmt::Display for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attach::Repo => f.write_str("repo"),
            Attach::At(address) => address.fmt(f),
        }
    }
}

pub(super) fn parse(text: Sourced<String>) -> Result<Sourced<Attach>, ConfigError> {
    let parsed = match text.value.as_str() {
        "repo" => Ok(Attach::Repo),
        address => address.parse::<Address>().map(Attach::At),
    };
    match parsed {
        Ok(value) => Ok(Sourced { value, source: text.source }),
        Err(_) => {
            let wanted = "an address of this machine, such as /ip4/127.0.0.1/tcp/5001, http://localhost:5001 or /unix/run/ipfs/api.sock, \
nor `repo`, for the one that its repo's `api` file names";
            Err(ConfigError::Value { key: "attach", value: text.value, source_text: text.source, wanted })
        }
    }
}
