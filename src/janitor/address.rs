//! The files `api` and `gateway`: where a Kubo says that it listens, and whether somebody does.

use super::facts::{Answer, Holder, Kernel};
use super::kernel;
use crate::kubo::address::{Address, NoAddress};
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For a connection within this host, which is made or refused at once.
const CONNECT: Duration = Duration::from_millis(500);

/// Asks the address that the content of `api` or `gateway` names.
pub(super) fn ask(content: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(content) else {
        return Answer::Malformed(format!("\"{}\"", content.escape_ascii()));
    };
    let text = text.trim();
    let shown = text.escape_debug().to_string();
    match text.parse() {
        Ok(Address::Tcp(address)) => match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => Answer::Accepted(shown),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused(shown),
            Err(error) => Answer::Unknown(shown, error.to_string()),
        },
        Ok(Address::Unix(path)) => match kernel::ask_socket(&path) {
            // Our own listener outlives the Kubo that it was passed to, and nobody answers there then.
            Kernel::Held(Holder::Pid(pid)) if pid == std::process::id() => Answer::Refused(shown),
            Kernel::Held(_) => Answer::Accepted(shown),
            Kernel::Unknown(_) if !exists(&path) => Answer::Refused(shown),
            Kernel::Unknown(why) => Answer::Unknown(shown, why),
            Kernel::Free | Kernel::NotAsked => Answer::Refused(shown),
        },
        Err(NoAddress::Elsewhere) => Answer::Elsewhere(shown),
        Err(NoAddress::Malformed) => Answer::Malformed(format!("\"{shown}\"")),
    }
}

/// The Unix socket that an address of the repo's config names.
pub(super) fn socket(multiaddr: &str) -> Option<PathBuf> {
    match multiaddr.parse() {
        Ok(Address::Unix(path)) => Some(path),
        _ => None,
    }
}

fn exists(path: &Path) -> bool {
    !path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::janitor::soon;

    #[test]
    fn an_address_is_refused_only_when_nobody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let text = format!("/ip4/127.0.0.1/tcp/{}\n", listener.local_addr().expect("an address").port());
        assert!(matches!(ask(text.as_bytes()), Answer::Accepted(_)));
        drop(listener);
        assert!(soon(|| matches!(ask(text.as_bytes()), Answer::Refused(_))));
        let dir = tempfile::tempdir().expect("a temp dir");
        let text = format!("/unix{}/none.sock", dir.path().display());
        assert!(matches!(ask(text.as_bytes()), Answer::Refused(_)));
        assert!(matches!(ask(b"\xff"), Answer::Malformed(_)));
    }
}
