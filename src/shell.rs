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

/// A command for whoever has this uid: without `sudo` where he is the one that it asks for.
pub(crate) fn told_to(uid: u32, command: String) -> String {
    let plain = command.strip_prefix("sudo ").and_then(|rest| match rest.strip_prefix("-u ") {
        Some(rest) => rest.strip_prefix(&user(uid))?.strip_prefix(' '),
        None => (uid == 0).then_some(rest),
    });
    plain.map(str::to_owned).unwrap_or(command)
}

#[cfg(test)]
mod tests {
    use super::{told_to, user};

    #[test]
    fn nobody_is_told_to_become_himself() {
        let (nobody, other) = (4_123_456_789, 4_123_456_788);
        let command = format!("sudo -u {} IPFS_PATH=/r ipfs config edit", user(nobody));
        assert_eq!(told_to(nobody, command.clone()), "IPFS_PATH=/r ipfs config edit");
        for uid in [0, other] {
            assert_eq!(told_to(uid, command.clone()), command);
        }
        assert_eq!(told_to(0, "sudo -u root env A=b /h".to_owned()), "env A=b /h");
        let reload = "sudo systemctl reload ipfs-kitd";
        let told = [0, nobody].map(|uid| told_to(uid, reload.to_owned()));
        assert_eq!(told, [&reload[5..], reload]);
    }

    #[test]
    fn a_user_is_told_by_name_or_else_by_number() {
        assert_eq!((user(0).as_str(), user(4_123_456_789).as_str()), ("root", "'#4123456789'"));
    }
}
