//! The committed schema is the one of the types, and its hash is the one that peers compare.

use sha2::{Digest, Sha256};

#[test]
fn schema_file_and_hash_are_those_of_the_types() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Protocol {
        request: proto_msgs::Request,
        response: proto_msgs::Response,
    }
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Protocol)).expect("a schema is JSON") + "\n";
    let hash: String = Sha256::digest(&schema).iter().map(|b| format!("{b:02x}")).collect();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(dir.join("schema.json"), &schema).expect("schema.json is writable");
        std::fs::write(dir.join("schema.sha256"), &hash).expect("schema.sha256 is writable");
        return;
    }
    let committed = std::fs::read_to_string(dir.join("schema.json")).expect("schema.json is committed");
    assert_eq!(committed, schema, "the types changed: UPDATE_SCHEMA=1 cargo test -p proto-msgs --test schema");
    assert_eq!(proto_msgs::SCHEMA_HASH.trim(), hash, "schema.sha256 is not the hash of schema.json");
}
