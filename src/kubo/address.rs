//! Where a Kubo that somebody else runs serves its RPC: a Unix socket, or a port of this machine. Pure.
//!
//! Written as a multiaddr, as Kubo's own `api` file and its config have it, or as a URL, as people type it. The RPC is admin for
//! whoever reaches it and is not encrypted, so an address of another machine is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A loopback port.
    Tcp(SocketAddr),
}

/// What an address has to look like.
pub const WANTED: &str =
    "an address of this machine, such as /ip4/127.0.0.1/tcp/5001, http://localhost:5001 or /unix/run/ipfs/api.sock";

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        if let Some(path) = text.strip_prefix("/unix/") {
            return if path.is_empty() { Err(WANTED) } else { Ok(Address::Unix(format!("/{path}").into())) };
        }
        let socket = match text.strip_prefix("http://") {
            Some(rest) => url(rest.trim_end_matches('/')),
            None => multiaddr(text),
        };
        socket.filter(|socket| socket.ip().is_loopback()).map(Address::Tcp).ok_or(WANTED)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "/unix{}", path.display()),
            Address::Tcp(SocketAddr::V4(socket)) => write!(f, "/ip4/{}/tcp/{}", socket.ip(), socket.port()),
            Address::Tcp(SocketAddr::V6(socket)) => write!(f, "/ip6/{}/tcp/{}", socket.ip(), socket.port()),
        }
    }
}

fn url(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

fn multiaddr(text: &str) -> Option<SocketAddr> {
    let parts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let (protocol, host, port) = match parts.as_slice() {
        [protocol, host, "tcp", port] | [protocol, host, "tcp", port, "http"] => (*protocol, *host, port.parse().ok()?),
        _ => return None,
    };
    let ip = match (protocol, host) {
        ("dns" | "dns4", "localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ("dns6", "localhost") => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ("ip4", host) => IpAddr::V4(host.parse().ok()?),
        ("ip6", host) => IpAddr::V6(host.parse().ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_kubo_and_as_people_write_it() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(read("/ip4/127.0.0.1/tcp/5001"), Ok("/ip4/127.0.0.1/tcp/5001".to_owned()));
        assert_eq!(read("/ip4/127.0.0.1/tcp/5001/http"), Ok("/ip4/127.0.0.1/tcp/5001".to_owned()));
        assert_eq!(read("/dns4/localhost/tcp/5001"), Ok("/ip4/127.0.0.1/tcp/5001".to_owned()));
        assert_eq!(read("http://localhost:5001/"), Ok("/ip4/127.0.0.1/tcp/5001".to_owned()));
        assert_eq!(read("http://[::1]:5001"), Ok("/ip6/::1/tcp/5001".to_owned()));
        assert_eq!(read("/unix/run/ipfs/api.sock"), Ok("/unix/run/ipfs/api.sock".to_owned()));
    }

    #[test]
    fn another_machine_and_nonsense_are_refused() {
        for text in
            ["/ip4/192.168.1.7/tcp/5001", "http://example.org:5001", "/ip4/0.0.0.0/tcp/5001", "/unix/", "5001", ""]
        {
            assert_eq!(text.parse::<Address>(), Err(WANTED), "{text}");
        }
    }
}
