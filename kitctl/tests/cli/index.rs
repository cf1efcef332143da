//! `index`.

use crate::stub::Stub;
use proto_msgs::legacy::{IndexImport, IndexImported, LegacyOutcome, LegacySource};
use proto_msgs::upkeep::{IndexCompact, IndexCompacted};
use proto_msgs::verb::{Body, Verb};

#[test]
fn a_small_index_that_grew_when_it_was_compacted_is_explained() {
    let compacted = |index_before, index_after| {
        let (journal_before, journal_after, put_off) = (0, 0, None);
        let saved = IndexCompacted { index_before, index_after, journal_before, journal_after, put_off };
        Stub::one(move |_| Body::Done(IndexCompact::done(saved.clone()))).run(&["index", "compact"]).stdout
    };
    assert!(compacted(800_000, 3_000_000).contains("has a least size of a few MiB"));
    assert!(!compacted(3_000_000, 3_000_000).contains("least size"));
    assert!(!compacted(3 << 30, 4 << 30).contains("least size"));
}

#[test]
fn an_import_that_took_rows_says_where_they_are_seen() {
    let imported = |taken| {
        let source = LegacySource { outcome: LegacyOutcome::Imported, taken, ..LegacySource::default() };
        let stub = Stub::one(move |_| Body::Done(IndexImport::done(IndexImported { sources: vec![source.clone()] })));
        stub.run(&["index", "import", "/old"]).stdout
    };
    assert!(imported(3).ends_with("\nwhat was taken stands in legacy.parquet of the next snapshot (docs/DATA.md)\n"));
    assert!(!imported(0).contains("legacy.parquet"));
}
