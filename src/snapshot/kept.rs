//! What `index restore` has kept: the index as it was before, as a backup with the time in its name. The newest few stay.

use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// So many stay.
const KEEP: usize = 3;
const NAME: (&str, &str) = ("before-restore-", ".tar");

/// A name that no file has.
pub(super) fn free(dir: &Path, now: Timestamp) -> PathBuf {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let name = |number: u32| match number {
        1 => dir.join(format!("{}{time}{}", NAME.0, NAME.1)),
        _ => dir.join(format!("{}{time}-{number}{}", NAME.0, NAME.1)),
    };
    let taken = |number: &u32| name(*number).symlink_metadata().is_ok();
    name((1..u32::MAX).find(|number| !taken(number)).unwrap_or(u32::MAX))
}

/// Removes all but the newest; what cannot be removed is told and left.
pub(super) fn prune(dir: &Path) {
    for path in superfluous(dir) {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old backup of before a restoring stays");
        }
    }
}

fn superfluous(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let ours = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (time, number) = parse(&name)?;
        entry.file_type().ok()?.is_file().then(|| ((time.to_owned(), number), entry.path()))
    });
    let mut ours: Vec<_> = ours.collect();
    ours.sort();
    ours.truncate(ours.len().saturating_sub(KEEP));
    ours.into_iter().map(|(_, path)| path).collect()
}

/// The time in a name of ours, and the number among those of one second.
fn parse(name: &str) -> Option<(&str, u32)> {
    let time = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let (time, number) =
        time.split_once('-').map_or(Some((time, 1)), |(time, number)| Some((time, number.parse().ok()?)))?;
    let plain = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z');
    (time.len() == "20261121T203455Z".len() && time.chars().all(plain)).then_some((time, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_three_stay_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let at = |second: i64| Timestamp::from_second(1_795_293_295 + second).expect("a time");
        let put = |second| {
            let path = free(dir.path(), at(second));
            std::fs::write(&path, "").expect("written");
            path.file_name().expect("a name").to_str().expect("UTF-8").to_owned()
        };
        let (others, first) = (["mine.tar", "before-restore-x.tar", "before-restore-20261121T203455Z-x.tar"], put(0));
        others.iter().for_each(|name| std::fs::write(dir.path().join(name), "").expect("written"));
        assert_eq!(first, "before-restore-20261121T203455Z.tar");
        let same: Vec<String> = (2..=11).map(|_| put(0)).collect();
        assert_eq!(
            (&*same[0], &*same[9]),
            ("before-restore-20261121T203455Z-2.tar", "before-restore-20261121T203455Z-11.tar")
        );
        let last = put(1);
        prune(dir.path());
        let mut left: Vec<String> = std::fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        left.sort();
        let mut stay = [&others.map(str::to_owned)[..], &same[8..], &[last]].concat();
        stay.sort();
        assert_eq!(left, stay);
    }
}
