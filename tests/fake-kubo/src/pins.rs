//! Its pins, kept in `fake-pins.json` in the repo, so that they survive a kill.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Type and name by CID.
pub(crate) type Map = BTreeMap<String, (String, String)>;

pub(crate) struct Pins {
    file: PathBuf,
    pins: Mutex<Map>,
}

impl Pins {
    pub(crate) fn load(repo: &Path) -> Pins {
        let file = repo.join("fake-pins.json");
        let pins = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Pins { file, pins: Mutex::new(pins) }
    }

    pub(crate) fn get(&self) -> Map {
        // A test may have written the file, behind everybody's back.
        let mut pins = self.lock();
        if let Some(read) = std::fs::read(&self.file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            *pins = read;
        }
        pins.clone()
    }

    pub(crate) fn add(&self, cid: &str, pin_type: &str, name: &str) {
        self.get();
        let mut pins = self.lock();
        pins.insert(cid.to_owned(), (pin_type.to_owned(), name.to_owned()));
        self.save(&pins);
    }

    pub(crate) fn remove(&self, cid: &str) -> bool {
        self.get();
        let mut pins = self.lock();
        let was = pins.remove(cid).is_some();
        self.save(&pins);
        was
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, pins: &Map) {
        let temp = self.file.with_extension("new");
        let text = serde_json::to_vec(pins).unwrap_or_default();
        let _ = std::fs::write(&temp, text).and_then(|()| std::fs::rename(&temp, &self.file));
    }
}

/// `{"Keys":{…}}` of the pins of one type; `{}` when there are none, as Kubo answers.
pub(crate) fn listing(pins: &Map, pin_type: &str, names: bool) -> Value {
    let of_type = pins.iter().filter(|(_, (of, _))| of == pin_type);
    let keys: serde_json::Map<String, Value> = of_type
        .map(|(cid, (of, name))| (cid.clone(), json!({"Type": of, "Name": if names { name } else { "" }})))
        .collect();
    if keys.is_empty() { json!({}) } else { json!({ "Keys": keys }) }
}
