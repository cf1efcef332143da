//! Names of pins that a listing without names has found new: asked for by CID, fifty at a time. Kubo refuses a whole batch when
//! one of its pins is gone; then it is halved until that one is found, which is left out.

use crate::cid;
use crate::index::set::Pinned;
use crate::kubo::rpc::{Rpc, RpcError};
use proto_msgs::pin::PinType;
use std::time::Duration;

/// CIDs in one question.
const BATCH: usize = 50;
const DEADLINE: Duration = Duration::from_secs(30);

/// The pins that are still there, with their names.
pub async fn look_up(rpc: &Rpc, pins: Vec<Pinned>) -> Result<Vec<Pinned>, RpcError> {
    let mut named = Vec::with_capacity(pins.len());
    for wanted in [PinType::Recursive, PinType::Direct] {
        let pins: Vec<&Pinned> = pins.iter().filter(|pin| pin.pin_type() == wanted).collect();
        let mut batches: Vec<&[&Pinned]> = pins.chunks(BATCH).rev().collect();
        while let Some(batch) = batches.pop() {
            let cids: Vec<String> = batch.iter().map(|pin| cid::text(&pin.cid())).collect();
            match rpc.pin_names(wanted, &cids, DEADLINE).await? {
                Some(mut names) => {
                    for (pin, cid) in batch.iter().zip(&cids) {
                        // Left out in silence it would be missing in an index that says that it is whole.
                        let detail = || format!("{cid} was asked for and is not in the answer");
                        let lacking = || RpcError::Malformed { call: "pin/ls", detail: detail() };
                        let name = names.remove(cid).ok_or_else(lacking)?;
                        named.push((*pin).clone().named(name.as_deref()));
                    }
                }
                None if batch.len() == 1 => {}
                None => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second, first]);
                }
            }
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubo::address::Address;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    fn pin(n: u8, pin_type: PinType) -> Pinned {
        let hash = ::cid::multihash::Multihash::<128>::wrap(0x12, &[n; 32]).expect("32 bytes");
        Pinned::new(cid::Cid::new_v1(0x55, hash), pin_type, None)
    }

    /// Kubo with these pins; the sizes of the batches that it was asked for.
    async fn asked(kubo: BTreeMap<String, (PinType, String)>, pins: Vec<Pinned>) -> (Vec<Pinned>, Vec<usize>) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let request = String::from_utf8(request).expect("text");
                let query = request.split([' ', '?']).nth(2).expect("a query");
                let wanted = if query.contains("type=direct") { PinType::Direct } else { PinType::Recursive };
                let cids: Vec<&str> = query.split('&').filter_map(|word| word.strip_prefix("arg=")).collect();
                seen.lock().expect("not poisoned").push(cids.len());
                let keys: Option<serde_json::Map<_, _>> = cids
                    .iter()
                    .map(|cid| {
                        let (_, name) = kubo.get(*cid).filter(|(pin_type, _)| *pin_type == wanted)?;
                        Some(((*cid).to_owned(), serde_json::json!({"Type": wanted.name(), "Name": name})))
                    })
                    .collect();
                let (status, body) = match keys {
                    Some(keys) => ("200 OK", serde_json::json!({ "Keys": keys })),
                    None => ("500 Error", serde_json::json!({"Message": "path 'x' is not pinned", "Code": 0})),
                };
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.expect("answered");
            }
        });
        let named = look_up(&Rpc::new(Address::Unix(path)), pins).await.expect("names");
        serving.abort();
        let sizes = sizes.lock().expect("not poisoned").clone();
        (named, sizes)
    }

    #[tokio::test]
    async fn names_come_fifty_at_a_time_and_each_type_by_itself() {
        let pins: Vec<Pinned> =
            (0..120).map(|n| pin(n, PinType::Recursive)).chain([pin(200, PinType::Direct)]).collect();
        let name = |pin: &Pinned| {
            if pin.key().digest[0].is_multiple_of(2) { String::new() } else { format!("{:?}", pin.key()) }
        };
        let kubo = pins.iter().map(|pin| (cid::text(&pin.cid()), (pin.pin_type(), name(pin)))).collect();
        let (named, sizes) = asked(kubo, pins.clone()).await;
        assert_eq!(sizes, [50, 50, 20, 1]);
        assert_eq!(
            named,
            pins.into_iter()
                .map(|pin| {
                    let name = name(&pin);
                    pin.named(Some(&name))
                })
                .collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn pins_that_have_gone_since_are_left_out_and_hide_no_other() {
        let pins: Vec<Pinned> = (0..50).map(|n| pin(n, PinType::Recursive)).collect();
        let mut kubo: BTreeMap<_, _> =
            pins.iter().map(|pin| (cid::text(&pin.cid()), (PinType::Recursive, "n".to_owned()))).collect();
        for gone in [0, 7, 49] {
            kubo.remove(&cid::text(&pins[gone].cid()));
        }
        let (named, sizes) = asked(kubo, pins.clone()).await;
        let left: Vec<Pinned> = pins
            .into_iter()
            .enumerate()
            .filter(|(n, _)| ![0, 7, 49].contains(n))
            .map(|(_, pin)| pin.named(Some("n")))
            .collect();
        assert_eq!(named, left);
        assert!(sizes.len() < 40, "halved, not asked one by one: {sizes:?}");
    }

    #[tokio::test]
    async fn an_answer_that_says_nothing_of_a_pin_that_was_asked_for_is_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            assert!(stream.read(&mut [0; 4096]).await.expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.expect("answered");
        });
        let refused = look_up(&Rpc::new(Address::Unix(path)), vec![pin(1, PinType::Recursive)]).await;
        assert!(matches!(refused, Err(RpcError::Malformed { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn nothing_new_asks_nothing() {
        assert_eq!(asked(BTreeMap::new(), Vec::new()).await, (Vec::new(), Vec::new()));
    }
}
