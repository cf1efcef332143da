//! Who besides the daemon's own uid and root may ask for what: `[access]`.
//!
//! Names are looked up when the configuration is read, so whoever joins a group later is known after the next reload.

use super::layers::{Layers, Sourced, setting, words};
use nix::unistd::{Group, User};
use proto_msgs::daemon::Setting;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How far a caller is trusted. Each level may do what those below it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// May look at everything but what Kubo and the daemon write, and Kubo's configuration.
    Observe,
    /// May also say what people know of pins, and ask for fresh looks.
    Record,
    /// May do everything.
    Admin,
}

impl Level {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Level::Observe => "observe",
            Level::Record => "record",
            Level::Admin => "admin",
        }
    }
}

/// Who may do what, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    users: BTreeMap<u32, Level>,
    groups: BTreeMap<u32, Level>,
    unknown: Vec<String>,
}

impl Access {
    /// Names that nobody has. They let nobody in, and are no reason not to start: an account may go while the node is to run.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The level of a caller with this uid and gid, neither the daemon's own uid nor root.
    pub fn level(&self, uid: u32, gid: u32) -> Option<Level> {
        let (user, group) = (self.users.get(&uid), self.groups.get(&gid));
        user.max(group).copied()
    }

    /// Whether anybody is named, so that others have to reach the socket.
    pub fn is_open(&self) -> bool {
        !(self.users.is_empty() && self.groups.is_empty())
    }

    /// One user at one level, or at none.
    #[cfg(test)]
    pub(crate) fn of(uid: u32, level: &str) -> Access {
        let mut access = Access::default();
        let level = [Level::Observe, Level::Record, Level::Admin].into_iter().find(|of| of.name() == level);
        level.into_iter().for_each(|level| access.grant(Who::User(uid), level));
        access
    }

    fn grant(&mut self, who: Who, level: Level) {
        let raise = |levels: &mut BTreeMap<u32, Level>, id| {
            let present = levels.entry(id).or_insert(level);
            *present = level.max(*present);
        };
        match who {
            Who::User(uid) => raise(&mut self.users, uid),
            Who::Group(gid, members) => {
                raise(&mut self.groups, gid);
                members.into_iter().for_each(|uid| raise(&mut self.users, uid));
            }
        }
    }
}

/// As in the file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    observe: Option<Vec<String>>,
    record: Option<Vec<String>>,
    admin: Option<Vec<String>>,
}

/// With each setting as text. All of them can be changed while the daemon runs.
pub(super) fn resolve(layers: &Layers<'_>, file: Option<File>) -> (Access, Vec<Setting>) {
    resolved(layers, file.unwrap_or_default(), &look_up)
}

fn resolved(layers: &Layers<'_>, file: File, look_up: &dyn Fn(&str) -> Option<Who>) -> (Access, Vec<Setting>) {
    let (mut access, mut settings) = (Access::default(), Vec::new());
    let levels = [
        ("access.observe", Level::Observe, file.observe),
        ("access.record", Level::Record, file.record),
        ("access.admin", Level::Admin, file.admin),
    ];
    for (key, level, file) in levels {
        let named = layers.pick(key, None, words, file).unwrap_or_else(|| Sourced::from_default(vec![]));
        for name in &named.value {
            match look_up(name) {
                // The kernel names everybody so whom it has no number for: the server lets none of them in.
                Some(Who::User(NOBODY)) | None => access.unknown.push(name.clone()),
                Some(who) => access.grant(who, level),
            }
        }
        settings.push(setting(key, &named, |named| toml::Value::from(named.clone()).to_string()));
    }
    (access, settings)
}

/// What the kernel shows in the place of an identity that it does not know.
pub(crate) const NOBODY: u32 = 65534;

/// Whom a name stands for.
#[derive(Clone, Debug)]
enum Who {
    User(u32),
    /// With those whose further group it is: the kernel tells only a caller's first.
    Group(u32, Vec<u32>),
}

/// `alice`, `1001`, `@staff`, `@100`; `None`: there is no such user or group.
fn look_up(name: &str) -> Option<Who> {
    let uid = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    let Some(group) = name.strip_prefix('@') else {
        return name.parse().ok().or_else(|| uid(name)).map(Who::User);
    };
    let found = match group.parse() {
        Ok(gid) => Group::from_gid(nix::unistd::Gid::from_raw(gid)),
        Err(_) => Group::from_name(group),
    };
    let found = found.ok().flatten()?;
    Some(Who::Group(found.gid.as_raw(), found.mem.iter().filter_map(|name| uid(name)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &str, env: &[(&str, &str)]) -> Access {
        let look_up = |name: &str| match name {
            "alice" => Some(Who::User(1)),
            "7" => Some(Who::User(7)),
            "nobody" => Some(Who::User(NOBODY)),
            "@staff" => Some(Who::Group(50, vec![1, 2])),
            _ => None,
        };
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let layers = Layers { env: &env, file: None };
        resolved(&layers, toml::from_str(file).expect("a table"), &look_up).0
    }

    #[test]
    fn each_is_trusted_as_far_as_the_highest_level_that_names_him() {
        let access = of(r#"observe = ["@staff", "7"]"#, &[]);
        let levels =
            |access: &Access| [(1, 1), (2, 2), (7, 7), (9, 50), (9, 9)].map(|(uid, gid)| access.level(uid, gid));
        let observe = Some(Level::Observe);
        assert_eq!(levels(&access), [observe, observe, observe, observe, None]);
        let access = of("observe = [\"@staff\"]\nadmin = [\"alice\"]", &[("IPFS_KITD_ACCESS_RECORD", "7 @staff")]);
        let record = Some(Level::Record);
        assert_eq!(levels(&access), [Some(Level::Admin), record, record, record, None]);
        assert!(!of("", &[]).is_open());
    }

    #[test]
    fn a_name_that_nobody_has_lets_nobody_in_and_is_told() {
        let access = of(r#"record = ["nobody-here"]"#, &[]);
        assert!(!access.is_open() && access.unknown() == ["nobody-here"]);
        let access = of(r#"observe = ["nobody"]"#, &[]);
        assert!(!access.is_open() && access.unknown() == ["nobody"], "that uid stands for many");
        assert!(look_up("root").is_some_and(|who| matches!(who, Who::User(0))));
        assert!(look_up("@0").is_some_and(|who| matches!(who, Who::Group(0, _))));
        assert!(look_up("no-such-user-anywhere").is_none() && look_up("@no-such-group-anywhere").is_none());
    }
}
