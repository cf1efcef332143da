//! Words as a shell takes them, for the commands that people are told.

/// As one word.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A user as `sudo -u` takes him, by name where he has one.
pub(crate) fn user(uid: u32) -> String {
    let found = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    found.map_or_else(|| format!("'#{uid}'"), |user| quoted(&user.name))
}

#[cfg(test)]
mod tests {
    use super::user;

    #[test]
    fn a_user_is_told_by_name_or_else_by_number() {
        assert_eq!((user(0).as_str(), user(4_123_456_789).as_str()), ("root", "'#4123456789'"));
    }
}
