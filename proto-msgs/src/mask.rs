//! Texts that are shown or passed on, without their secrets.

/// Without the users, passwords and queries of URLs. An `@` also masks what an odd password has before it, `/` and `?` included, unless
/// it stands in the query of what is a host for sure.
pub fn masked_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://") {
        let (before, url) = rest.split_at(begin + 3);
        let end = url.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(url.len());
        // In the text of JSON they belong to the quote.
        let (url, after) = url.split_at(url[..end].trim_end_matches('\\').len());
        masked.push_str(before);
        let of_user = url.rsplit_once('@').filter(|(before, _)| !ends_in_query(before));
        let shown = of_user.map_or(url, |(_, host)| {
            masked.push_str("***@");
            host
        });
        match shown.split_once('?') {
            Some((place, _)) => masked.extend([place, "?***"]),
            None => masked.push_str(shown),
        }
        rest = after;
    }
    masked + rest
}

/// Whether this beginning of a URL has its host and ends in its query. A word alone, or one with anything but a port, may be a user.
fn ends_in_query(beginning: &str) -> bool {
    let Some((place, _)) = beginning.split_once('?') else { return false };
    let host = place.split(['/', '#']).next().unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let named = name == "localhost" || name.starts_with('[') && name.ends_with(']') || name.contains('.');
    named && !place.contains('@') && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_masked_wherever_it_stands() {
        let text = r#"at https://u:a/b?c@h/x?y=z "ftp://k@h\"" http://h:1/p"#;
        assert_eq!(masked_urls(text), r#"at https://***@h/x?*** "ftp://***@h\"" http://h:1/p"#);
        assert_eq!(masked_urls("http://a,http://u:p@h"), "http://***@h");
    }

    #[test]
    fn an_at_sign_in_a_query_does_not_mask_the_host_and_one_in_a_password_masks_it_all() {
        for place in
            ["http://h.org/x", "http://h.org:80", "http://localhost:5001/a", "http://[::1]/x", "http://[::1]:80"]
        {
            assert_eq!(masked_urls(&format!("{place}?mail=a@b&k=1")), format!("{place}?***"));
        }
        for secret in ["u:p?q", "u:1/2?q", "token?q", "u@x.org:p?q", "u.v:p?q", "u.v:1p?q"] {
            assert_eq!(masked_urls(&format!("http://{secret}@h/x")), "http://***@h/x", "{secret}");
        }
    }
}
