//! `index import`: files of the system of before through the real daemon. They stay as they are, byte for byte.

pub(crate) mod files;

use crate::kit::{Kit, eventually, identity_cid};
use files::*;
use ipfs_kitd::index::legacy::original::{self, Found};
use proto_msgs::FaultKind;
use proto_msgs::doctor::Doctor;
use proto_msgs::legacy::{IndexImport, LegacyOutcome, LegacySource};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A place below `root`, its directories made.
fn place(root: &Path, path: &str) -> PathBuf {
    let path = root.join(path);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().expect("a parent")).expect("made");
    path
}

fn import(kit: &Kit, path: &Path) -> Vec<LegacySource> {
    kit.call(IndexImport { path: path.display().to_string() }).sources
}

fn one(kit: &Kit, path: &Path) -> LegacySource {
    let mut sources = import(kit, path);
    assert_eq!(sources.len(), 1);
    sources.pop().expect("one")
}

/// Content and time of every file below a directory.
fn content(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(content(&entry));
        } else {
            let time = entry.metadata().and_then(|file| file.modified()).expect("a time");
            found.insert(entry.clone(), (std::fs::read(&entry).expect("read"), time));
        }
    }
    found
}

/// Numbers out of the index of a daemon that has ended.
fn numbers(kit: &Kit, sql: &str) -> Vec<i64> {
    let connection = duckdb::Connection::open(kit.path("data/index/pins.duckdb")).expect("opened");
    let mut statement = connection.prepare(sql).expect("prepared");
    let mut rows = statement.query([]).expect("asked");
    let row = rows.next().expect("read").expect("a row");
    (0..row.as_ref().column_count()).map(|column| row.get(column).expect("a number")).collect()
}

#[test]
fn a_tree_of_the_old_system_is_imported_by_name_once_and_stays_as_it_is() {
    let mut kit = Kit::fake();
    let tree = kit.path("home/.ipfs_kit");
    let pandas = place(&tree, "pin_metadata/parquet_storage/pins.parquet");
    by_pandas(&pandas);
    by_duckdb(&place(&tree, "enhanced_pin_index/enhanced_pins.parquet"), A);
    by_duckdb(&place(&tree, "pin_metadata/enhanced_pins.parquet"), B);
    by_duckdb(&place(&tree, "pin_metadata/pins.parquet"), C);
    by_duckdb(&place(&tree, "pin_metadata/pin_metadata.parquet"), D);
    let view = "CREATE VIEW enhanced_pins AS SELECT * FROM pins;";
    duckdb_file(&place(&tree, "pin_metadata/pin_metadata.duckdb"), "pins", B, view);
    duckdb_file(&place(&tree, "enhanced_pin_index/enhanced_pin_metadata.duckdb"), "enhanced_pins", A, "");
    let nested = "SELECT {'bandwidth_in': '1.0 KB/s', 'peer_count': 0} AS system_state, 1.0::DOUBLE AS updated_at";
    by_duckdb(&place(&tree, "program_state/parquet/system_state.parquet"), nested);
    let flat =
        "SELECT 1.0::DOUBLE AS timestamp, 4154::BIGINT AS pin_count, '15' AS repo_version, 0::BIGINT AS total_size";
    by_duckdb(&place(&tree, "program_state/parquet/storage_state.parquet"), flat);
    std::fs::write(place(&tree, "program_state/parquet/daemon_state.parquet"), "updated=1753000000.1234567")
        .expect("written");
    let before = content(&tree);

    kit.start_whole();
    let pinned = identity_cid("pinned");
    kit.set_fake_pins(&[(&pinned, "recursive", "")]);
    assert_eq!(kit.ctl(&["index", "refresh", "--wait"]).code, Some(0));
    let sources = import(&kit, &tree);
    let told: Vec<_> = sources
        .iter()
        .map(|source| {
            let name = Path::new(&source.path).strip_prefix(&tree).expect("below").display().to_string();
            (name, source.outcome, source.form.as_deref(), source.rows as usize, source.taken as usize)
        })
        .collect();
    use LegacyOutcome::{Imported, Known, Nothing};
    let expected = [
        ("pin_metadata/parquet_storage/pins.parquet", Imported, Some("B"), ROWS, VALID),
        ("enhanced_pin_index/enhanced_pins.parquet", Imported, Some("A"), ROWS, VALID),
        ("pin_metadata/enhanced_pins.parquet", Imported, Some("B"), ROWS, VALID),
        ("pin_metadata/pins.parquet", Imported, Some("C"), ROWS, VALID),
        ("pin_metadata/pin_metadata.parquet", Imported, Some("D"), ROWS, VALID),
        ("pin_metadata/pin_metadata.duckdb", Imported, Some("B"), ROWS, VALID),
        ("enhanced_pin_index/enhanced_pin_metadata.duckdb", Imported, Some("A"), ROWS, VALID),
        ("program_state/parquet/system_state.parquet", Nothing, None, 1, 0),
        ("program_state/parquet/storage_state.parquet", Nothing, None, 1, 0),
        ("program_state/parquet/daemon_state.parquet", Nothing, Some("E"), 0, 0),
    ];
    assert_eq!(told, expected.map(|(name, outcome, form, rows, taken)| (name.to_owned(), outcome, form, rows, taken)));
    for source in sources.iter().filter(|source| source.outcome == Imported) {
        let refused: Vec<_> =
            source.refused.iter().map(|of| (of.reason.as_str(), of.rows as usize, of.examples.len())).collect();
        assert_eq!(refused, [("demo", DEMO, 3), ("invalid_cid", INVALID, 3)], "{}", source.path);
        let made_up =
            source.nulled.iter().find(|count| count.rule == "made_up_name").map(|count| count.values as usize);
        assert_eq!(made_up, Some(VALID - NAMED), "{}", source.path);
    }
    let text = sources.last().and_then(|source| source.detail.clone()).unwrap_or_default();
    assert!(text.contains("not Parquet but text") && text.contains("updated=1753"), "{text}");

    let again = import(&kit, &tree);
    assert!(again.iter().take(7).all(|source| source.outcome == Known && source.taken as usize == VALID), "{again:#?}");
    assert_eq!(content(&tree), before, "not a byte and not a date is another");
    assert_eq!(kit.pins(), [pinned], "an import pins nothing");

    // A file that has changed takes the place of what it was.
    by_duckdb(&pandas, &format!("{B} LIMIT 100"));
    let changed = one(&kit, &pandas);
    assert_eq!((changed.outcome, changed.rows as usize, changed.taken as usize), (Imported, 100, 100 - DEMO - INVALID));
    let hundred = std::fs::read(&pandas).expect("read");
    // Samples that `pin init` writes over it, and a table without rows, do not.
    for (query, form) in [(format!("{B} WHERE n < {DEMO}"), "F"), (format!("{D} LIMIT 0"), "D")] {
        by_duckdb(&pandas, &query);
        let source = one(&kit, &pandas);
        assert_eq!((source.outcome, source.form.as_deref()), (LegacyOutcome::Nothing, Some(form)));
    }
    std::fs::write(&pandas, hundred).expect("written");
    // The same content elsewhere is not taken twice.
    let copy = kit.path("home/copy.parquet");
    std::fs::copy(&pandas, &copy).expect("copied");
    assert_eq!(one(&kit, &copy).outcome, Known);

    assert!(kit.stop().success());
    let source = |name: &str| format!("FROM legacy WHERE source LIKE '%/{name}'");
    let b = "SELECT count(*), count(name), count(pin_type), count(size), count(last_access), count(access_count), count(tier),
             count(is_directory), count(integrity), count(recorded_at)";
    let rows = (100 - DEMO - INVALID) as i64;
    let named = (100 - DEMO - INVALID).div_ceil(10) as i64;
    let in_b = numbers(&kit, &format!("{b} {}", source("parquet_storage/pins.parquet")));
    assert_eq!(in_b, [rows, named, rows, 0, 0, 0, 0, 0, 0, rows]);
    let in_a = numbers(&kit, &format!("{b} {}", source("enhanced_pin_metadata.duckdb")));
    let odd = (DEMO + INVALID..ROWS).filter(|n| n % 2 == 1).count() as i64;
    let sized = (DEMO + INVALID..ROWS).filter(|n| n % 100 == 9).count() as i64;
    let valid = VALID as i64;
    assert_eq!(in_a, [valid, NAMED as i64, valid, sized, odd, odd, odd, 0, 0, valid]);
    let files = "SELECT count(*), count(DISTINCT source), count(DISTINCT digest) FROM legacy_sources";
    assert_eq!(numbers(&kit, files), [7, 7, 7]);
    let times =
        numbers(&kit, &format!("SELECT DISTINCT epoch_us(recorded_at) {}", source("pin_metadata/pins.parquet")));
    assert_eq!(times, [1_753_000_000_250_000], "a time without a zone is UTC");
}

#[test]
fn what_is_no_sound_file_gives_one_sentence_each_and_the_daemon_goes_on() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let pid = kit.pid();
    let dir = kit.path("home");
    let path = |name: &str| dir.join(name);
    by_pandas(&path("whole.parquet"));
    duckdb_file(&path("whole.duckdb"), "pins", B, "");
    let whole = std::fs::read(path("whole.parquet")).expect("read");
    let database = std::fs::read(path("whole.duckdb")).expect("read");
    std::fs::write(path("empty"), "").expect("written");
    std::fs::write(path("noise"), [0, 159, 146, 150]).expect("written");
    std::fs::write(path("cut"), &whole[..whole.len() / 2]).expect("written");
    std::fs::write(path("marks"), [b"PAR1".as_slice(), &[0xff; 64], b"PAR1"].concat()).expect("written");
    std::fs::write(path("cut.duckdb"), &database[..database.len() / 2]).expect("written");
    std::fs::File::create(path("huge")).and_then(|file| file.set_len(1 << 40)).expect("made");
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    std::os::unix::fs::symlink("whole.parquet", path("link")).expect("linked");
    let socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("bound");
    let cases = [
        ("empty", "it is empty"),
        ("noise", "neither Parquet nor DuckDB"),
        ("cut", "without its end"),
        ("marks", "it is damaged"),
        ("cut.duckdb", "DuckDB cannot read it"),
        ("huge", "at most 268435456 are read"),
        ("fifo", "not a regular file but a FIFO"),
        ("link", "a symbolic link"),
        ("socket", "a socket"),
    ];
    for (name, sentence) in cases {
        let source = one(&kit, &path(name));
        let detail = source.detail.unwrap_or_default();
        assert_eq!(source.outcome, LegacyOutcome::Failed, "{name}");
        assert!(detail.contains(sentence) && !detail.contains('\n'), "{name}: {detail}");
    }
    drop(socket);
    let fault = |path: &Path| kit.fault(IndexImport { path: path.display().to_string() });
    assert_eq!(fault(&path("none")).kind, FaultKind::NotFound);
    assert_eq!(fault(Path::new("whole.parquet")).kind, FaultKind::Invalid);
    std::fs::create_dir(path("bare")).expect("made");
    assert_eq!(fault(&path("bare")).kind, FaultKind::NotFound);
    std::fs::create_dir_all(path("odd/pin_metadata/pins.parquet")).expect("made");
    let detail = one(&kit, &path("odd")).detail.unwrap_or_default();
    assert!(detail.contains("a directory"), "{detail}");

    // Bytes flipped anywhere, most of all where the file says what it is: an answer, and nothing worse.
    for n in 0..24_usize {
        let (name, mut bytes) = if n % 4 == 0 { ("f.duckdb", database.clone()) } else { ("f.parquet", whole.clone()) };
        let at = if n % 2 == 0 { n * 7919 } else { bytes.len() - 9 - n * 37 };
        let at = at % bytes.len();
        bytes[at] ^= 0xff;
        std::fs::write(path(name), &bytes).expect("written");
        let source = one(&kit, &path(name));
        assert!(source.outcome != LegacyOutcome::Failed || source.detail.is_some(), "{source:?}");
    }
    // Our own index is nothing of the old system.
    kit.stop();
    std::fs::copy(kit.path("data/index/pins.duckdb"), path("own.duckdb")).expect("copied");
    kit.start();
    let own = one(&kit, &path("own.duckdb"));
    assert_eq!((own.outcome, own.detail.as_deref()), (LegacyOutcome::Nothing, Some("ipfs-kitd has written it")));
    assert_ne!(kit.pid(), pid);
    let left = std::fs::read_dir(kit.path("data")).expect("listed").filter_map(Result::ok);
    assert!(!left.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(".legacy-")));
}

#[test]
fn what_lies_where_our_files_go_is_imported_and_kept_before_they_do() {
    let mut kit = Kit::fake();
    let data = kit.path("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).expect("made");
    let pins = place(&data, original::PLACES[0]);
    by_pandas(&pins);
    let state = place(&data, original::PLACES[1]);
    std::fs::write(&state, "updated=1753000000.0").expect("written");
    let was = std::fs::read(&pins).expect("read");
    let look = |place: usize| original::look(&data, original::PLACES[place]).expect("looked");
    let again = Found::Foreign { again: true };
    assert_eq!([look(0), look(1)], [Found::Foreign { again: false }; 2]);
    kit.start_whole();
    let copy = data.join("legacy-original").join(original::PLACES[0]);
    eventually(|| look(1) == Found::Kept && look(0) == Found::Ours, || kit.log());
    assert_eq!(std::fs::read(&copy).expect("kept"), was);

    // Ours has taken the name. Then the program of before writes there again.
    let causes = |kit: &Kit| kit.call(Doctor {}).findings.into_iter().map(|finding| finding.cause).collect::<Vec<_>>();
    let told = |kit: &Kit| causes(kit).contains(&"legacy_writer".to_owned());
    assert!(!told(&kit));
    by_duckdb(&pins, B);
    let later = std::fs::read(&pins).expect("read");
    assert!(told(&kit) && look(0) == again);
    assert_eq!(kit.ctl(&["snapshot", "now"]).code, Some(0));
    // A restart imports it, and does not fight.
    assert!(kit.stop().success());
    kit.start_whole();
    eventually(|| kit.log().matches("a file of the old system: imported").count() == 2, || kit.log());
    assert_eq!(kit.ctl(&["snapshot", "now"]).code, Some(0));
    assert!(told(&kit) && look(0) == again);
    assert_eq!(std::fs::read(&pins).expect("read"), later);
    // Somebody who names the file settles it: a second copy is kept, and ours is back.
    let source = one(&kit, &pins);
    assert_eq!((source.outcome, source.kept), (LegacyOutcome::Known, true));
    eventually(|| look(0) == Found::Ours, || kit.log());
    assert!(!told(&kit));
    let kept = std::fs::read_dir(copy.parent().expect("a parent")).expect("listed");
    let mut kept: Vec<_> = kept.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("read")).collect();
    kept.sort_by_key(|bytes| *bytes != was);
    assert_eq!(kept, [was, later]);
    // What cannot be kept stays, and `doctor` says it.
    std::fs::remove_file(&state).expect("removed");
    std::os::unix::fs::symlink(&copy, &state).expect("linked");
    assert!(causes(&kit).contains(&"foreign_file".to_owned()));
    // The file of ours that is there now is nothing to import or to keep.
    let ours = one(&kit, &pins);
    assert_eq!((ours.outcome, ours.kept), (LegacyOutcome::Nothing, false));

    let snapshot = PathBuf::from(kit.ctl(&["snapshot", "path"]).out.trim());
    let rows = |name: &str| {
        let sql = format!("SELECT count(*) FROM '{}'", snapshot.join(name).display());
        let connection = duckdb::Connection::open_in_memory().expect("in memory");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).expect("counted")
    };
    assert_eq!((rows("legacy.parquet"), rows("legacy_sources.parquet")), (VALID as i64, 1), "published");
    assert!(kit.stop().success());
    assert_eq!(
        numbers(&kit, "SELECT count(*) FROM legacy"),
        [VALID as i64],
        "rows that took the place of those before"
    );
}

#[test]
fn the_command_line_shows_what_came_of_each_file() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let tree = kit.path("home/old kit");
    by_pandas(&place(&tree, "pin_metadata/parquet_storage/pins.parquet"));
    let said = kit.ctl(&["index", "import", tree.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let row = said.out.lines().nth(1).unwrap_or_default().split_whitespace().take(4).collect::<Vec<_>>();
    assert_eq!(row, ["imported", "B", "4154", "4146"], "{}", said.out);
    assert!(said.out.contains("3 refused (demo), such as QmXnny") && said.out.contains("made_up_name"), "{}", said.out);
    let mut relative = kit.ctl_command(&["index", "import", "old kit", "-o", "json"]);
    let said = crate::kit::said(relative.current_dir(kit.path("home")));
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, document["sources"][0]["outcome"].as_str()), (Some(0), Some("known")));
    std::os::unix::fs::symlink(&tree, kit.path("home/linked")).expect("linked");
    assert_eq!(kit.ctl(&["index", "import", kit.path("home/linked").to_str().expect("UTF-8")]).code, Some(0));
    for (text, code) in [("updated=1", 0), ("no Parquet", 1)] {
        std::fs::write(kit.path("home/text"), text).expect("written");
        assert_eq!(kit.ctl(&["index", "import", kit.path("home/text").to_str().expect("UTF-8")]).code, Some(code));
    }
    assert_eq!(kit.ctl(&["index", "import", "/nowhere/at/all"]).code, Some(4));
}
