//! Kubo's log of the requests to its RPC (`ipfs diag cmds`), and what keeps a CID that is no pin itself. Nothing here asks the network.

use super::rpc::{Rpc, RpcError, encoded};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// Bytes of a log that is read, which is some ten thousand requests.
const MOST: usize = 16 << 20;

/// An option that no command has, which Kubo keeps in its log of requests: it tells our own reads from those of others.
pub const OURS: &str = "ipfs-kitd";

/// A request, as Kubo's log has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    /// Rises from 0 with each request since Kubo's start.
    #[serde(rename = "ID")]
    pub id: u64,
    /// `cat`, `dag/get`.
    #[serde(default)]
    pub command: String,
    /// What it is about; what came in the request's body is not there.
    #[serde(default, deserialize_with = "maybe")]
    pub args: Vec<String>,
    /// Options by their long names.
    #[serde(default, deserialize_with = "maybe")]
    pub options: HashMap<String, Value>,
    /// When it came.
    pub start_time: Timestamp,
    /// When it was answered; long ago while it is [active](Self::active).
    pub end_time: Timestamp,
    /// Whether it is not answered yet.
    #[serde(default)]
    pub active: bool,
}

/// Go writes an empty list as `null`.
fn maybe<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// What Kubo said of a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is within this pin, as Kubo prints its CID.
    Within(String),
    /// No pin has it, as far as Kubo could read.
    Nowhere,
}

impl Rpc {
    /// The log of requests, our own question at its end.
    pub async fn requests(&self, deadline: Duration) -> Result<Vec<Request>, RpcError> {
        self.sized("diag/cmds", "diag/cmds", deadline, MOST).await
    }

    /// Has requests stay in the log for so long after they were answered; nothing of it outlives Kubo.
    pub async fn keep_requests(&self, time: Duration, deadline: Duration) -> Result<(), RpcError> {
        let call = format!("diag/cmds/set-time?arg={}s", time.as_secs());
        self.silent(&call, deadline).await
    }

    /// Which pin has this CID below it. Kubo reads the blocks of all pins until it finds it, and lets nobody pin or unpin meanwhile.
    pub async fn kept_by(&self, cid: &str, deadline: Duration) -> Result<Kept, RpcError> {
        #[derive(Deserialize)]
        struct Keys {
            #[serde(rename = "Keys", default)]
            keys: HashMap<String, Pin>,
        }
        #[derive(Deserialize)]
        struct Pin {
            #[serde(rename = "Type")]
            of: String,
        }
        let call = format!("pin/ls?arg={}&type=indirect&offline=true", encoded(cid));
        match self.short::<Keys>("pin/ls", &call, deadline).await {
            Ok(found) => {
                let through = |pin: Pin| Some(pin.of.strip_prefix("indirect through ")?.to_owned());
                Ok(found.keys.into_values().find_map(through).map_or(Kept::Nowhere, Kept::Within))
            }
            Err(RpcError::Refused { message, .. }) if message.contains("is not pinned") => Ok(Kept::Nowhere),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_kubo_prints_it() {
        let text = r#"[
            {"StartTime":"2026-11-22T05:40:00.123456789Z","EndTime":"2026-11-22T06:40:00.2+01:00","Active":false,"Command":"cat",
             "Options":{"encoding":"json","length":7,"offset":0,"progress":false},"Args":["bafkqaaa"],"ID":4},
            {"StartTime":"2026-11-22T05:40:01Z","EndTime":"0001-01-01T00:00:00Z","Active":true,"Command":"diag/cmds",
             "Options":null,"Args":null,"ID":5}]"#;
        let read: Vec<Request> = serde_json::from_str(text).expect("a log");
        assert_eq!((read[0].id, &*read[0].command, &*read[0].args[0], read[0].active), (4, "cat", "bafkqaaa", false));
        assert_eq!(read[0].start_time.subsec_nanosecond(), 123_456_789);
        assert_eq!(read[0].options["length"], 7);
        assert!(read[1].active && read[1].args.is_empty() && read[1].options.is_empty());
    }
}
