//! The examples of docs/DATA.md for Python, on a snapshot. The Python that `IPFS_KITD_PYTHON` names, else `python3`, has to have the
//! package in question; without it an example is not run, and that is said.

use crate::other::skipped;
use crate::place::*;
use crate::snapshot::{publish, snapshots};
use std::path::Path;
use std::process::{Command, Output};

fn python(program: &str) -> std::io::Result<Output> {
    let python = std::env::var("IPFS_KITD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command.args(["-c", program]).output()
}

/// Whether this program goes through.
fn has(program: &str) -> bool {
    python(program).is_ok_and(|output| output.status.success())
}

/// The block of Python below this heading.
fn example<'a>(page: &'a str, heading: &str) -> &'a str {
    let below = page.split_once(&format!("\n### {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let block = below.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("no Python below {heading}")).0
}

/// With ten pins, two of them with a size, one with a mark, one direct; and the page with its examples on this data directory.
async fn published() -> (Place, String, String) {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..9).map(|n| pin(raw(n), RECURSIVE, "a name")).collect()).await;
    place.add(raw(9), DIRECT, "").await;
    place
        .sql(
            "UPDATE pins SET size = 1000 * id, size_kind = 2 WHERE id IN (1, 2);
             INSERT INTO marks SELECT cid, ['keep'], 'a note', NULL, first_seen, 1 FROM pins WHERE id = 2;",
        )
        .await;
    let to = snapshots(&place);
    publish(&place, &to).await.expect("published");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md")).expect("readable");
    let page = page.replace("/var/lib/ipfs-kitd", &place.path().display().to_string());
    let recipe = example(&page, "Files that are replaced meanwhile").to_owned();
    (place, page, recipe)
}

/// What an example prints.
async fn run(heading: &str, package: &str) -> Option<String> {
    let (_place, page, recipe) = published().await;
    if !has(&format!("import {package}, pyarrow")) {
        skipped(
            &format!("the example for {heading} in docs/DATA.md"),
            &format!("this Python has no {package} or no pyarrow"),
        );
        return None;
    }
    let output = python(&format!("{recipe}\n{}", example(&page, heading))).expect("it runs");
    assert!(output.status.success(), "{heading}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_example_for_pyarrow_reads_parquet_and_maps_arrow() {
    let Some(said) = run("pyarrow", "pyarrow").await else { return };
    let direct = ipfs_kitd::cid::text(&raw(9));
    assert!(said.starts_with("10 pins in generation 2 as of 2026-"), "{said}");
    assert!(
        said.contains("3000 bytes, without 8 of unknown size") && said.contains(&format!("['{direct}']")),
        "{said}"
    );
}

#[tokio::test]
async fn the_example_for_polars_joins_marks_and_sorts_by_size() {
    let Some(said) = run("polars", "polars").await else { return };
    assert!(said.contains("shape: (10, 4)") && said.contains("keep"), "{said}");
    assert!(said.find("2000") < said.find("1000"), "{said}");
}

#[tokio::test]
async fn the_example_for_pandas_groups_and_compares_times() {
    let Some(said) = run("pandas", "pandas").await else { return };
    assert!(said.contains("recursive raw       9      2  3000"), "{said}");
}

#[tokio::test]
async fn the_recipe_reads_the_manifest_again_when_its_snapshot_has_gone_and_gives_up_the_second_time() {
    let (place, _, recipe) = published().await;
    let data = place.path().display();
    let program = format!(
        "{recipe}
tried = []
def vanishes(dir):
    tried.append(dir)
    if len(tried) == 1:
        raise FileNotFoundError(dir)
    return dir
manifest, dir = newest('{data}', vanishes)
assert dir.endswith(manifest['name']) and len(tried) == 2, tried
def gone(dir):
    tried.append(dir)
    raise FileNotFoundError(dir)
try:
    newest('{data}', gone)
except FileNotFoundError:
    assert len(tried) == 4, tried
else:
    raise AssertionError('it went on')
"
    );
    if !has("") {
        return skipped("the recipe for readers in docs/DATA.md", "there is no Python");
    }
    let output = python(&program).expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
