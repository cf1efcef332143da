//! What Kubo does with pins beyond adding and removing one, and its configuration.

use super::rpc::{MESSAGE, Rpc, RpcError, encoded, parse};
use proto_msgs::kubo::KuboSetting;
use proto_msgs::mask::masked_urls;
use proto_msgs::pin::{BrokenBlock, BrokenPin, PinVerified};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// In the place of a secret.
const MASK: &str = "\"***\"";
/// What the name of a secret has in it.
const SECRETS: [&str; 9] =
    ["key", "secret", "token", "password", "passwd", "passphrase", "credential", "bearer", "cookie"];
/// The same as whole words: as parts they are in names of what is none, such as `Authorizations`.
const WHOLE: [&str; 5] = ["auth", "authorization", "pass", "psk", "pwd"];

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Cid", default)]
    cid: String,
    #[serde(rename = "Err", default)]
    error: String,
    #[serde(rename = "Ok", default)]
    good: bool,
    #[serde(rename = "BadNodes", default)]
    bad: Option<Vec<Bad>>,
}

#[derive(Deserialize)]
struct Bad {
    #[serde(rename = "Cid", default)]
    cid: String,
    #[serde(rename = "Err", default)]
    error: String,
}

impl Rpc {
    /// Pins `to` in the place of `from`, fetching what is missing, for as long as it takes.
    pub async fn pin_update(&self, from: &str, to: &str, keep: bool) -> Result<(), RpcError> {
        let call = format!("pin/update?arg={}&arg={}&unpin={}", encoded(from), encoded(to), !keep);
        self.slow::<Value>("pin/update", &call).await.map(drop)
    }

    /// Reads every block with links of every recursive pin, for as long as it takes.
    pub async fn pin_verify(&self, mut on_progress: impl FnMut(u64) + Send) -> Result<PinVerified, RpcError> {
        let mut found = PinVerified { pins: 0, broken: 0, examples: Vec::new() };
        let each = self.lines("pin/verify?verbose=true", |line| {
            let line: Line = parse("pin/verify", line)?;
            if line.cid.is_empty() {
                return Err(RpcError::Cut(words(&line.error)));
            }
            found.pins += 1;
            on_progress(found.pins);
            if !line.good {
                found.broken += 1;
                if found.examples.len() < PinVerified::MAX {
                    found.examples.push(broken(line));
                }
            }
            Ok(())
        });
        each.await?;
        Ok(found)
    }

    /// Its configuration as in its file now, without its secrets.
    pub async fn config(&self, deadline: Duration) -> Result<Vec<KuboSetting>, RpcError> {
        let config: Value = self.short("config/show", "config/show", deadline).await?;
        let mut settings = Vec::new();
        flatten("", &config, &mut settings);
        settings.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(settings)
    }
}

fn broken(line: Line) -> BrokenPin {
    let own = Some(Bad { cid: line.cid.clone(), error: line.error }).filter(|own| !own.error.is_empty());
    let blocks = own.into_iter().chain(line.bad.unwrap_or_default()).take(BrokenPin::MAX);
    let blocks = blocks.map(|bad| BrokenBlock { cid: words(&bad.cid), error: words(&bad.error) }).collect();
    BrokenPin { cid: line.cid, blocks }
}

fn words(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

fn flatten(place: &str, value: &Value, settings: &mut Vec<KuboSetting>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let own = if name.contains('.') { format!("{name:?}") } else { name.clone() };
                let key = if place.is_empty() { own } else { format!("{place}.{own}") };
                if is_secret(name) && !matches!(value, Value::Null | Value::Bool(_)) && *value != "" {
                    settings.push(KuboSetting { key, value: MASK.to_owned() });
                } else {
                    flatten(&key, value, settings);
                }
            }
        }
        value => {
            let value = without_passwords(value).to_string();
            settings.push(KuboSetting { key: place.to_owned(), value });
        }
    }
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRETS.iter().any(|word| lower.contains(word)) || parts(name).iter().any(|part| WHOLE.contains(&part.as_str()))
}

/// The words of `SwarmPSKFile` and `X-Auth`, in small letters.
fn parts(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut parts = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|at| chars.get(at)), chars.get(at + 1));
        let small = |c: Option<&char>| c.is_some_and(char::is_ascii_lowercase);
        let begins = c.is_ascii_uppercase() && (small(before) || small(after));
        if begins || !c.is_ascii_alphanumeric() {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            part.push(c.to_ascii_lowercase());
        }
    }
    parts
}

/// Without what URLs have of secrets and without private keys, also within lists.
fn without_passwords(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("PRIVATE KEY") => Value::String("***".to_owned()),
        Value::String(text) => Value::String(masked_urls(text)),
        Value::Array(values) => Value::Array(values.iter().map(without_passwords).collect()),
        // Objects in a list are shown whole, so their secrets go here.
        Value::Object(fields) => {
            let shown = |(name, value): (&String, &Value)| match is_secret(name) {
                true => (name.clone(), Value::String("***".to_owned())),
                false => (name.clone(), without_passwords(value)),
            };
            Value::Object(fields.iter().map(shown).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_however_deep_they_are() {
        let config = json!({
            "Identity": {"PeerID": "12D3", "PrivKey": "CAES"},
            "API": {"Authorizations": {"alice": {"AuthSecret": "bearer:hunter2", "AllowedPaths": ["/api/v0"]}}},
            "Pinning": {"RemoteServices": {"a.b": {"API": {"Endpoint": "https://u:hunter2@host/x?y@z", "Key": "hunter2"}}}},
            "List": [{"Name": "n", "Token": "hunter2"}, "https://u:hunter2@host"],
            "Nested": {"Passwords": {"one": "hunter2"}},
            "Headers": {"Authorization": ["hunter2"], "Cookie": "hunter2", "X-Auth": "hunter2", "PSKFile": "hunter2"},
            "Words": {"Passphrase": "hunter2", "DbPass": "hunter2", "pwd": "hunter2", "BearerIs": "hunter2"},
            "Query": "https://h/?token=hunter2", "Slash": "https://u:pa/hunter2@h/x",
            "Two": "https://h/a https://u:hunter2@h/b", "Pem": "-----BEGIN PRIVATE KEY-----\nhunter2",
            "PassedThrough": "yes", "Origin": ["http://localhost:3000"],
            "Empty": {}, "ApiKey": "", "KeyOnly": true,
        });
        let mut settings = Vec::new();
        flatten("", &config, &mut settings);
        let text: Vec<String> = settings.iter().map(|s| format!("{} = {}", s.key, s.value)).collect();
        assert!(!text.iter().any(|line| line.contains("hunter2") || line.contains("CAES")), "{text:#?}");
        for line in [
            r#"Identity.PeerID = "12D3""#,
            r#"Identity.PrivKey = "***""#,
            r#"API.Authorizations.alice.AuthSecret = "***""#,
            r#"API.Authorizations.alice.AllowedPaths = ["/api/v0"]"#,
            r#"Pinning.RemoteServices."a.b".API.Endpoint = "https://***@z""#,
            r#"List = [{"Name":"n","Token":"***"},"https://***@host"]"#,
            r#"Nested.Passwords = "***""#,
            r#"Query = "https://h/?***""#,
            r#"Slash = "https://***@h/x""#,
            r#"Two = "https://h/a https://***@h/b""#,
            r#"PassedThrough = "yes""#,
            r#"Origin = ["http://localhost:3000"]"#,
            r#"Empty = {}"#,
            r#"ApiKey = """#,
            r#"KeyOnly = true"#,
        ] {
            assert!(text.iter().any(|shown| shown == line), "{line} in {text:#?}");
        }
    }
}
