//! Texts that are shown or passed on, without their secrets.

/// Without the users, passwords and queries of URLs. An `@` also masks what an odd password has before it, `/` and `?` included.
pub fn masked_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://") {
        let (before, url) = rest.split_at(begin + 3);
        let end = url.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(url.len());
        // In the text of JSON they belong to the quote.
        let (url, after) = url.split_at(url[..end].trim_end_matches('\\').len());
        masked.push_str(before);
        let shown = url.rsplit_once('@').map_or(url, |(_, host)| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_masked_wherever_it_stands() {
        let text = r#"at https://u:a/b?c@h/x?y=z "ftp://k@h\"" http://h:1/p"#;
        assert_eq!(masked_urls(text), r#"at https://***@h/x?*** "ftp://***@h\"" http://h:1/p"#);
        assert_eq!(masked_urls("http://a,http://u:p@h"), "http://***@h");
    }
}
