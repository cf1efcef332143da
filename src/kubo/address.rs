//! Where a Kubo listens: a Unix socket, or a port of this machine. Pure.
//!
//! Written as a multiaddr, as Kubo's own `api` file and its config have it, or as a URL, as its `gateway` file and people have it. The RPC is admin for
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

/// What a text is that is no address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{WANTED}")]
pub enum NoAddress {
    /// An address of another machine, or of any.
    Elsewhere,
    /// Nonsense.
    Malformed,
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let (host, port) = match (text.strip_prefix("/unix/"), text.strip_prefix("http://")) {
            (Some(path), _) => return unix(path),
            (_, Some(rest)) if rest.starts_with('/') => return unix(&rest[1..]),
            (_, Some(rest)) => rest.trim_end_matches('/').rsplit_once(':').ok_or(NoAddress::Malformed)?,
            _ => multiaddr(text).ok_or(NoAddress::Malformed)?,
        };
        let port = port.parse().map_err(|_| NoAddress::Malformed)?;
        let ip = match host.trim_start_matches('[').trim_end_matches(']') {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            // A name is looked up by nobody here.
            host => host.parse().map_err(|_| NoAddress::Elsewhere)?,
        };
        if ip.is_loopback() { Ok(Address::Tcp(SocketAddr::new(ip, port))) } else { Err(NoAddress::Elsewhere) }
    }
}

fn unix(path: &str) -> Result<Address, NoAddress> {
    if path.is_empty() { Err(NoAddress::Malformed) } else { Ok(Address::Unix(format!("/{path}").into())) }
}

/// Host and port.
fn multiaddr(text: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let (protocol, host, port) = match parts.as_slice() {
        [protocol, host, "tcp", port] | [protocol, host, "tcp", port, "http"] => (*protocol, *host, *port),
        // It may lead anywhere.
        ["dnsaddr", _, ..] => ("dns", "", "0"),
        _ => return None,
    };
    let host = match protocol {
        "dns6" if host == "localhost" => "::1",
        "dns" | "dns4" | "dns6" => host,
        "ip4" => host.parse::<Ipv4Addr>().ok().map(|_| host)?,
        "ip6" => host.parse::<Ipv6Addr>().ok().map(|_| host)?,
        _ => return None,
    };
    Some((host, port))
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
        assert_eq!(read("http://127.0.0.1:8080"), Ok("/ip4/127.0.0.1/tcp/8080".to_owned()));
        assert_eq!(read("/dns6/localhost/tcp/5001"), Ok("/ip6/::1/tcp/5001".to_owned()));
        assert_eq!(read("/ip6/::1/tcp/5001"), Ok("/ip6/::1/tcp/5001".to_owned()));
        assert_eq!(read("/unix/run/ipfs/api.sock"), Ok("/unix/run/ipfs/api.sock".to_owned()));
        assert_eq!(read("http:///run/ipfs/gw.sock"), Ok("/unix/run/ipfs/gw.sock".to_owned()));
    }

    #[test]
    fn another_machine_and_nonsense_are_refused_and_told_apart() {
        for text in [
            "/ip4/192.168.1.7/tcp/5001",
            "http://example.org:5001",
            "/ip4/0.0.0.0/tcp/5001",
            "http://192.0.2.1:8080",
            "/dns4/node.example/tcp/5001",
            "/dnsaddr/node.example",
            "/dnsaddr/localhost",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress::Elsewhere), "{text}");
        }
        for text in [
            "/unix/",
            "5001",
            "",
            "/ip4/127.0.0.1/tcp/99999",
            "/ip4/127.0.0.1/udp/4001",
            "/ip4/::1/tcp/5001",
            "/ip4/localhost/tcp/5001",
            "http://localhost",
            "rm -rf /",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress::Malformed), "{text}");
        }
    }
}
