//! The files `api` and `gateway`: where a Kubo says that it listens, and whether somebody does.

use super::facts::{Answer, Holder, Kernel};
use super::kernel;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For a connection within this host, which is made or refused at once.
const CONNECT: Duration = Duration::from_millis(500);

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// An address, but not one of this host.
    Elsewhere,
    Malformed,
}

/// Asks the address that the content of `api` or `gateway` names.
pub(super) fn ask(content: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(content) else {
        return Answer::Malformed(format!("\"{}\"", content.escape_ascii()));
    };
    let text = text.trim();
    let shown = text.escape_debug().to_string();
    match parse(text) {
        Address::Tcp(address) => match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => Answer::Accepted(shown),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused(shown),
            Err(error) => Answer::Unknown(shown, error.to_string()),
        },
        Address::Unix(path) => match kernel::ask_socket(&path) {
            // Our own listener outlives the Kubo that it was passed to, and nobody answers there then.
            Kernel::Held(Holder::Pid(pid)) if pid == std::process::id() => Answer::Refused(shown),
            Kernel::Held(_) => Answer::Accepted(shown),
            Kernel::Unknown(_) if !exists(&path) => Answer::Refused(shown),
            Kernel::Unknown(why) => Answer::Unknown(shown, why),
            Kernel::Free | Kernel::NotAsked => Answer::Refused(shown),
        },
        Address::Elsewhere => Answer::Elsewhere(shown),
        Address::Malformed => Answer::Malformed(format!("\"{shown}\"")),
    }
}

/// The Unix socket that an address of the repo's config names.
pub(super) fn socket(multiaddr: &str) -> Option<PathBuf> {
    multiaddr.strip_prefix("/unix/").map(|path| Path::new("/").join(path))
}

fn exists(path: &Path) -> bool {
    !path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// `api` is a multiaddr, `gateway` a URL.
fn parse(text: &str) -> Address {
    if let Some(path) =
        socket(text).or_else(|| text.strip_prefix("http://").filter(|p| p.starts_with('/')).map(Into::into))
    {
        return Address::Unix(path);
    }
    let (host, port) = match text.strip_prefix("http://") {
        Some(authority) => match authority.trim_end_matches('/').rsplit_once(':') {
            Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), port),
            None => return Address::Malformed,
        },
        None => match text.split('/').collect::<Vec<_>>().as_slice() {
            ["", "ip4" | "ip6", host, "tcp", port, ..] => (*host, *port),
            ["", "dns" | "dns4" | "dns6" | "dnsaddr", ..] => return Address::Elsewhere,
            _ => return Address::Malformed,
        },
    };
    match (host.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(host), Ok(port)) if host.is_loopback() => Address::Tcp(SocketAddr::new(host, port)),
        (Ok(_), Ok(_)) => Address::Elsewhere,
        _ => Address::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::janitor::soon;

    #[test]
    fn what_kubo_writes_is_read_and_only_this_host_is_ever_asked() {
        let tcp = |text: &str| Address::Tcp(text.parse().expect("an address"));
        for (text, address) in [
            ("/ip4/127.0.0.1/tcp/5001", tcp("127.0.0.1:5001")),
            ("/ip6/::1/tcp/5001", tcp("[::1]:5001")),
            ("/ip4/127.0.0.1/tcp/5001/http", tcp("127.0.0.1:5001")),
            ("http://127.0.0.1:8080", tcp("127.0.0.1:8080")),
            ("http://[::1]:8080", tcp("[::1]:8080")),
            ("/unix/run/ipfs/api.sock", Address::Unix("/run/ipfs/api.sock".into())),
            ("http:///run/ipfs/gw.sock", Address::Unix("/run/ipfs/gw.sock".into())),
            ("/ip4/192.0.2.1/tcp/5001", Address::Elsewhere),
            ("/dns4/node.example/tcp/5001", Address::Elsewhere),
            ("http://192.0.2.1:8080", Address::Elsewhere),
            ("", Address::Malformed),
            ("/ip4/127.0.0.1/tcp/99999", Address::Malformed),
            ("/ip4/127.0.0.1/udp/4001", Address::Malformed),
            ("rm -rf /", Address::Malformed),
        ] {
            assert_eq!(parse(text), address, "{text}");
        }
    }

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
