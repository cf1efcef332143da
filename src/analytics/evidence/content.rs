//! What a path of content names: the CID and the path below it. Kubo takes a path of its commands in several forms, and the request of a
//! web server has one more, with a query behind it and escapes in it.

use crate::cid::{self, Cid};
use percent_encoding::percent_decode_str;
use proto_msgs::access::AccessSeen;

/// What is read: a CID, and a path below it without a slash at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The CID.
    pub cid: Cid,
    /// `None`: the CID itself, or a path that is too long to be kept.
    pub path: Option<String>,
}

/// What a text is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Content.
    Named(Named),
    /// A name that stands for other content at other times (IPNS, DNSLink): nobody can tell afterwards what it stood for.
    Mutable,
    /// Nothing of the kind.
    Other,
    /// Content, by its looks, whose CID is none.
    Wrong,
}

/// The argument of one of Kubo's commands: `/ipfs/CID/a`, `CID/a`, `ipfs://CID/a`, also with `ipld` for `ipfs`.
pub fn argument(text: &str) -> Subject {
    for scheme in ["ipfs:", "ipld:"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return rooted(rest.trim_start_matches('/'));
        }
    }
    if text.starts_with("ipns:") {
        return Subject::Mutable;
    }
    match text.strip_prefix('/') {
        Some(rest) => match rest.trim_start_matches('/').split_once('/') {
            Some(("ipfs" | "ipld", rest)) => rooted(rest),
            Some(("ipns", _)) => Subject::Mutable,
            _ => Subject::Wrong,
        },
        None => rooted(text),
    }
}

/// The target of a request to a gateway, and the host that it was sent to, where that is known. The CID is at the head of the path, or
/// of the host's name.
pub fn request(target: &str, host: Option<&str>) -> Subject {
    let (target, host) = match target.split_once("://") {
        // As a proxy is asked.
        Some(("http" | "https", rest)) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (&rest[end..], Some(&rest[..end]))
        }
        _ => (target, host),
    };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match host.map(subdomain) {
        Some(Subject::Named(named)) => return below(named.cid, path),
        // `www.ipfs.example.org`: a gateway whose own name looks like that of content.
        Some(Subject::Wrong) if ["/ipfs/", "/ipns/"].iter().any(|root| path.starts_with(root)) => {}
        Some(subject @ (Subject::Mutable | Subject::Wrong)) => return subject,
        Some(Subject::Other) | None => {}
    }
    if let Some(rest) = path.strip_prefix("/ipfs/") {
        let (root, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let root = percent_decode_str(root).decode_utf8_lossy();
        return match root.is_empty() {
            // The gateway's own page.
            true => Subject::Other,
            false => cid::parse(&root).map_or(Subject::Wrong, |cid| below(cid, rest)),
        };
    }
    if path.starts_with("/ipns/") { Subject::Mutable } else { Subject::Other }
}

/// `CID.ipfs.example.org:8080`, `name.ipns.example.org`.
fn subdomain(host: &str) -> Subject {
    let host = host.to_ascii_lowercase();
    let mut labels = host.split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some(root), Some("ipfs"), Some(_)) => {
            cid::parse(root).map_or(Subject::Wrong, |cid| Subject::Named(Named { cid, path: None }))
        }
        // A key, or a name of DNS whose dots became hyphens.
        (Some(root), Some("ipns"), Some(_)) if root.contains('-') || cid::parse(root).is_ok() => Subject::Mutable,
        _ => Subject::Other,
    }
}

fn below(cid: Cid, path: &str) -> Subject {
    let path = percent_decode_str(path).decode_utf8_lossy();
    Subject::Named(Named { cid, path: kept(&path) })
}

/// A CID, and what follows it.
fn rooted(text: &str) -> Subject {
    let (root, rest) = text.split_once('/').unwrap_or((text, ""));
    cid::parse(root).map_or(Subject::Wrong, |cid| Subject::Named(Named { cid, path: kept(rest) }))
}

/// A path as it is kept: without empty parts, and not when it is too long.
fn kept(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = parts.join("/");
    (!path.is_empty() && path.len() <= AccessSeen::PATH).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V0: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    const V1: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    fn named(cid: &str, path: &str) -> Subject {
        let path = Some(path.to_owned()).filter(|path| !path.is_empty());
        Subject::Named(Named { cid: cid::parse(cid).expect("a CID"), path })
    }

    #[test]
    fn an_argument_names_a_cid_and_a_path_in_every_form_that_kubo_takes() {
        for (text, path) in [
            (V0.to_owned(), ""),
            (format!("{V0}/"), ""),
            (format!("{V0}/a/b"), "a/b"),
            (format!("/ipfs/{V0}"), ""),
            (format!("/ipfs/{V0}//a/./b/"), "a/b"),
            (format!("/ipld/{V0}/links/0"), "links/0"),
            (format!("ipfs://{V0}/a b"), "a b"),
            (format!("ipfs:{V0}"), ""),
        ] {
            assert_eq!(argument(&text), named(V0, path), "{text}");
        }
        for text in ["/ipns/example.org/a", "ipns://example.org"] {
            assert_eq!(argument(text), Subject::Mutable, "{text}");
        }
        for text in ["", "/", "/ipfs", "/ipfs/", "a/b", "/photos/cat.jpg", "ipfs://", "-"] {
            assert_eq!(argument(text), Subject::Wrong, "{text}");
        }
    }

    #[test]
    fn a_request_names_its_cid_in_the_path_or_in_the_host() {
        let path = |path: &str| format!("/ipfs/{V1}{path}");
        for (target, below) in [
            (path(""), ""),
            (path("/"), ""),
            (path("?format=raw"), ""),
            (path("/a%20b/%C3%BC.txt?download=true"), "a b/ü.txt"),
            (path("/a#b"), "a"),
            (format!("http://gateway.example:8080/ipfs/{V1}/a"), "a"),
        ] {
            assert_eq!(request(&target, None), named(V1, below), "{target}");
            assert_eq!(request(&target, Some("gateway.example")), named(V1, below), "{target}");
        }
        for host in ["ipfs.example.org", "ipfs.localhost:8080", "ipfs.localhost", "IPFS.Example.ORG:80"] {
            assert_eq!(request("/a/b?c", Some(&format!("{V1}.{host}"))), named(V1, "a/b"), "{host}");
        }
        assert_eq!(request("/a", Some("example-org.ipns.example.org")), Subject::Mutable);
        assert_eq!(request("/ipns/example.org/a", None), Subject::Mutable);
        assert_eq!(request("/ipfs/nonsense", None), Subject::Wrong);
        assert_eq!(request("/", Some("nonsense.ipfs.example.org")), Subject::Wrong);
        for target in ["/", "/ipfs/", "/favicon.ico", "*", "", "/api/v0/cat?arg=a"] {
            assert_eq!(request(target, Some("example.org")), Subject::Other, "{target}");
        }
    }

    #[test]
    fn a_gateway_whose_own_name_looks_like_that_of_content_is_asked_by_its_path() {
        for host in ["gateway.ipfs.example.org", "www.ipfs.io:8080", "www.ipns.example.org"] {
            assert_eq!(request(&format!("/ipfs/{V1}/a?b"), Some(host)), named(V1, "a"), "{host}");
            assert_eq!(request("/ipns/example.org/a", Some(host)), Subject::Mutable, "{host}");
            assert_eq!(request("/ipfs/nonsense", Some(host)), Subject::Wrong, "{host}");
        }
        let key = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8";
        for name in ["example-org", key] {
            let host = format!("{name}.ipns.example.org");
            assert_eq!(request(&format!("/ipfs/{V1}"), Some(&host)), Subject::Mutable, "{name}");
        }
        assert_eq!(
            request(&format!("/ipfs/{V1}"), Some(&format!("{V1}.ipfs.example.org"))),
            named(V1, &format!("ipfs/{V1}"))
        );
    }

    #[test]
    fn a_path_that_is_too_long_is_left_out() {
        let long = "a".repeat(AccessSeen::PATH + 1);
        assert_eq!(argument(&format!("{V1}/{long}")), named(V1, ""));
        assert_eq!(argument(&format!("{V1}/{}", &long[1..])), named(V1, &long[1..]));
    }
}
