//! Which form of the old system a table has, by the names and types of its columns alone: two forms have nineteen columns each,
//! in different orders, and the same file name stands for several.

use super::wire::Kind;

/// A form that pins were kept in; `docs/DATA.md` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `enhanced_pins`.
    A,
    /// `pins`.
    B,
    /// The simple pin manager's.
    C,
    /// The fallback in memory, saved.
    D,
}

impl Form {
    /// As reports and the table have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::A => "A",
            Form::B => "B",
            Form::C => "C",
            Form::D => "D",
        }
    }
}

/// What a table turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Pins.
    Pins(Form),
    /// Nothing that is taken, and what it is.
    Other(&'static str),
}

/// Columns that are read where they are.
const READ: &[&str] = &[
    "cid",
    "name",
    "type",
    "pin_type",
    "recursive",
    "size_bytes",
    "file_size",
    "size",
    "timestamp",
    "last_updated",
    "created_at",
    "pin_time",
    "last_accessed",
    "access_count",
    "primary_tier",
    "tier",
    "vfs_path",
    "is_directory",
    "integrity_status",
    "verification_status",
];

/// Whether a column is read.
pub(super) fn wanted(name: &str) -> bool {
    READ.contains(&name)
}

/// Tells the forms apart.
pub(super) fn detect(columns: &[(String, Kind)]) -> Found {
    let kind = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, kind)| *kind);
    let all = |names: &[&str]| names.iter().all(|name| kind(name).is_some());
    let any = |names: &[&str]| names.iter().any(|name| kind(name).is_some());
    let texts = |name| matches!(kind(name), Some(Kind::Text | Kind::Null));
    if texts("cid") && !any(&["operation", "operation_id"]) {
        if all(&["pin_type", "timestamp"]) {
            return Found::Pins(Form::B);
        }
        if all(&["type", "last_updated"]) {
            return Found::Pins(Form::A);
        }
        if all(&["file_size", "created_at"]) {
            return Found::Pins(Form::C);
        }
        if all(&["pin_time"]) || all(&["size", "verification_status"]) {
            return Found::Pins(Form::D);
        }
    }
    Found::Other(if any(&["system_state", "network_state", "storage_state", "file_state", "files_state"]) {
        "a state of the node in the nested form, whose numbers were constants or text"
    } else if any(&["bandwidth_in", "bandwidth_out", "repo_version", "files_count"]) {
        "a state of the node in the flat form, whose numbers were constants or text"
    } else if any(&["operation", "operation_type", "operation_id"]) {
        "a log of operations, not pins"
    } else if all(&["tier", "total_pins"]) {
        "statistics, not pins"
    } else {
        "no table of pins"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(of: &[(&str, Kind)]) -> Vec<(String, Kind)> {
        of.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
    }

    #[test]
    fn each_form_is_known_by_its_columns_in_any_order() {
        use Kind::*;
        let forms = [
            (Form::A, vec![("cid", Text), ("size_bytes", Int), ("type", Text), ("name", Text), ("last_updated", Real)]),
            (Form::B, vec![("cid", Text), ("name", Text), ("pin_type", Text), ("timestamp", Real), ("vfs_path", Null)]),
            (Form::C, vec![("cid", Text), ("recursive", Bool), ("file_size", Int), ("created_at", Text)]),
            (Form::D, vec![("cid", Text), ("size", Int), ("pin_time", Real), ("verification_status", Text)]),
        ];
        for (form, of) in forms {
            let mut columns = columns(&of);
            assert_eq!(detect(&columns), Found::Pins(form));
            columns.reverse();
            assert_eq!(detect(&columns), Found::Pins(form), "reversed");
            columns.retain(|(name, _)| name != "cid");
            assert!(matches!(detect(&columns), Found::Other(_)), "no CIDs");
        }
        let typed_null = columns(&[("cid", Null), ("pin_type", Null), ("timestamp", Null)]);
        assert_eq!(detect(&typed_null), Found::Pins(Form::B), "an empty table of pandas");
        let numbers = columns(&[("cid", Int), ("pin_type", Text), ("timestamp", Real)]);
        assert_eq!(detect(&numbers), Found::Other("no table of pins"));
    }

    #[test]
    fn what_has_cids_and_is_no_table_of_pins_is_told_apart() {
        use Kind::*;
        let log = columns(&[("timestamp", Real), ("cid", Text), ("operation", Text), ("pin_type", Text)]);
        assert_eq!(detect(&log), Found::Other("a log of operations, not pins"));
        let state = columns(&[("system_state", Other), ("updated_at", Real)]);
        assert!(matches!(detect(&state), Found::Other(what) if what.contains("nested")));
        let flat = columns(&[("timestamp", Real), ("bandwidth_in", Text), ("bandwidth_out", Text)]);
        assert!(matches!(detect(&flat), Found::Other(what) if what.contains("flat")));
    }
}
