//! Finds out which pin keeps what was read, where that is neither pinned nor in MFS: Kubo is asked for one CID after the other.
//!
//! Kubo reads through all pins for an answer, and meanwhile no pin can be added or removed. So each question has a short deadline, and all of
//! them together a small share of the time; what is not found by then is not known, and asked for again later. Kubo reads its own blocks;
//! only where one of a pin is missing would it ask the network, for as long as the deadline lets it.

use super::health::SOURCES;
use crate::analytics::actor::AnalyticsArgs;
use crate::cid::{self, Cid, Key};
use crate::fault::ask;
use crate::index::access::{AskUnsettled, Settle};
use crate::kubo::requests::Kept;
use crate::kubo::rpc::{Rpc, RpcError};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// For one answer: so long a pin may have to wait.
const DEADLINE: Duration = Duration::from_secs(3);
/// Of the time, at most.
const SHARE: f64 = 0.05;
/// Until what was asked for in vain is asked for once more.
const AGAIN: Duration = Duration::from_secs(3600);
/// Between two looks for something to ask.
const LOOK: Duration = Duration::from_secs(5);
/// CIDs that are taken from the index at a time.
const BATCH: usize = 50;

/// Asks for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut rpcs = args.board.rpc.subscribe();
    loop {
        // The board is as old as the process, so the sender can't be gone.
        let Ok(Some(rpc)) = rpcs.wait_for(Option::is_some).await.map(|rpc| rpc.clone()) else { return };
        tokio::select! {
            () = work(&args, &rpc) => {}
            _ = rpcs.wait_for(|now| now.as_ref() != Some(&rpc)) => {}
        }
    }
}

async fn work(args: &AnalyticsArgs, rpc: &Rpc) {
    let generation = || args.board.index.borrow().generation;
    // A round goes through all that is to be asked, in the order in which it was read first.
    let (mut of, mut after) = (generation(), 0);
    let (mut forgot, mut in_vain) = (Instant::now(), HashSet::new());
    let mut idle = None;
    'look: loop {
        // Only what was told since, other pins, and time can leave something to ask.
        let told: u64 = SOURCES.into_iter().map(|source| args.recorder.heard(source).accesses).sum();
        let now = (told, generation());
        let again = forgot.elapsed() >= AGAIN;
        if idle == Some(now) && !again {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let unsettled = match ask(&args.index, AskUnsettled { after, most: BATCH }).await {
            Ok(unsettled) => unsettled,
            Err(fault) => {
                args.life.error(format!("what keeps accesses is not known: {}", fault.detail));
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        let Some(through) = unsettled.through else {
            if again {
                (forgot, in_vain) = (Instant::now(), HashSet::new());
            } else if of == now.1 {
                idle = Some(now);
                continue;
            }
            (of, after) = (now.1, 0);
            continue;
        };
        for cid in unsettled.cids {
            // The index sees by itself that it is pinned by now.
            let key = Key::of(&cid);
            let known = args.board.index.borrow().set.get(&key).is_some();
            if !known && in_vain.contains(&key) {
                continue;
            }
            args.board.quiet().await;
            args.life.fault_point("settle");
            let began = Instant::now();
            let found = if known { Found::Keeper(None) } else { look(rpc, &cid).await };
            let keeper = match found {
                Found::Keeper(keeper) => Some(keeper),
                Found::Later => None,
                Found::InVain => {
                    in_vain.insert(key);
                    None
                }
                Found::Gone => {
                    tokio::time::sleep(LOOK).await;
                    continue 'look;
                }
            };
            if let Some(keeper) = keeper
                && let Err(fault) = ask(&args.index, Settle(vec![(cid, keeper)])).await
            {
                args.life.error(format!("what keeps {} cannot be kept: {}", cid::text(&cid), fault.detail));
                tokio::time::sleep(LOOK).await;
                continue 'look;
            }
            tokio::time::sleep(rest(began.elapsed())).await;
        }
        after = through;
    }
}

/// What a look has brought.
enum Found {
    /// The pin that keeps it, or none.
    Keeper(Option<Cid>),
    /// It is pinned itself, which the next listing tells the index.
    Later,
    /// Kubo could not say: too many pins for the time, or one of which a block is missing.
    InVain,
    /// Kubo answers nobody.
    Gone,
}

async fn look(rpc: &Rpc, of: &Cid) -> Found {
    let text = cid::text(of);
    match rpc.attributed(keeper(rpc, &text, DEADLINE).await).await {
        Ok(None) => Found::Later,
        Ok(Some(Kept::Within(pin))) => Found::Keeper(cid::parse(&pin).ok()),
        Ok(Some(Kept::Nowhere)) => Found::Keeper(None),
        Err(RpcError::Unreachable(_)) => Found::Gone,
        Err(error) => {
            tracing::debug!(cid = text, "what keeps it was not found: {}", crate::fault::chain(&error));
            Found::InVain
        }
    }
}

/// What keeps a CID; `None`: it is pinned itself. All calls that this takes have the deadline together.
async fn keeper(rpc: &Rpc, cid: &str, deadline: Duration) -> Result<Option<Kept>, RpcError> {
    let asked = async {
        match rpc.pin_of(cid, deadline).await? {
            Some(_) => Ok(None),
            None => rpc.kept_by(cid, deadline).await.map(Some),
        }
    };
    tokio::time::timeout(deadline, asked).await.unwrap_or(Err(RpcError::Deadline(deadline)))
}

/// How long to leave Kubo alone after a question that took so long.
fn rest(took: Duration) -> Duration {
    took.mul_f64(1.0 / SHARE - 1.0).max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubo::address::Address;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn all_calls_of_a_question_have_one_deadline() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("bound");
        // It takes its time to say of everything that it is not pinned.
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    let body = r#"{"Message":"path 'x' is not pinned","Code":0,"Type":"error"}"#;
                    let head =
                        "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n";
                    let _ = stream
                        .write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
                        .await;
                });
            }
        });
        let rpc = Rpc::new(Address::Unix(socket));
        let asked = |deadline| keeper(&rpc, "bafkqaaa", deadline);
        assert!(matches!(asked(Duration::from_secs(60)).await, Ok(Some(Kept::Nowhere))));
        let each = Duration::from_millis(700);
        assert!(matches!(asked(each).await, Err(RpcError::Deadline(_))), "each has enough, all together do not");
    }

    #[test]
    fn questions_take_a_twentieth_of_the_time() {
        assert_eq!(rest(Duration::from_secs(1)), Duration::from_secs(19));
        assert_eq!(rest(Duration::ZERO), Duration::from_millis(10));
    }
}
