//! DuckDB in memory: settings that the query cannot change, the tables of a snapshot, and the query.

use super::output::Output;
use crate::exit;
use crate::offline::{Refusal, USAGE};
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use duckdb::{Config, Connection};

/// How an error begins that is one of the query's words.
const WORDS: [&str; 3] = ["Parser Error", "Binder Error", "Catalog Error"];
/// Characters of an error: it can show all of a value.
const SENTENCE: usize = 500;

/// A database without a file.
pub(super) struct Engine(Connection);

impl From<duckdb::Error> for Refusal {
    fn from(error: duckdb::Error) -> Refusal {
        let text = match &error {
            duckdb::Error::DuckDBFailure(_, None) => "Parser Error: the query has no statement".to_owned(),
            error => error.to_string(),
        };
        let code = if WORDS.iter().any(|words| text.starts_with(words)) { USAGE } else { exit::FAILED };
        // Behind the sentence come the place in the query, or settings that are locked.
        let lines = text.lines().take_while(|line| !line.is_empty() && !line.starts_with("Possible solutions"));
        Refusal(code, lines.collect::<Vec<_>>().join(" ").chars().take(SENTENCE).collect())
    }
}

impl Engine {
    /// Without tables. DuckDB begins no thread of its own.
    pub(super) fn open(memory: u64) -> Result<Engine, Refusal> {
        let config = Config::default()
            .threads(1)?
            .max_memory(&format!("{memory}B"))?
            .enable_autoload_extension(false)?
            .with("autoinstall_known_extensions", "false")?
            .with("allow_community_extensions", "false")?
            .with("allow_persistent_secrets", "false")?
            .with("temp_directory", "")?
            .with("max_temp_directory_size", "0B")?
            .with("max_expression_depth", "250")?;
        let engine = Engine(Connection::open_in_memory_with_flags(config)?);
        // Where DuckDB was built without time zones, all is UTC.
        let _ = engine.0.execute_batch("SET TimeZone='UTC'");
        Ok(engine)
    }

    /// Makes Parquet files tables, each its name and its file, then locks all settings. Where a path may be read DuckDB would also write
    /// there: so without a wall in front of the files, their rows come into memory, and no path is left.
    pub(super) fn give(&self, tables: &[(String, String)], walled: bool) -> Result<(), Refusal> {
        let what = if walled { "VIEW" } else { "TABLE" };
        for (table, file) in tables {
            self.0.execute_batch(&format!("CREATE {what} {table} AS SELECT * FROM read_parquet('{file}')"))?;
        }
        if walled {
            let paths: Vec<String> = tables.iter().map(|(_, file)| format!("'{file}'")).collect();
            self.0.execute_batch(&format!("SET allowed_paths=[{}]", paths.join(", ")))?;
        }
        Ok(self.0.execute_batch("SET enable_external_access=false; SET lock_configuration=true")?)
    }

    /// Runs the query. What `begin` makes of the columns takes the rows as they come; whether some were left out.
    pub(super) fn ask(
        &self,
        query: &str,
        begin: impl FnOnce(&Schema) -> Result<Output, Refusal>,
    ) -> Result<bool, Refusal> {
        let mut statement = self.0.prepare(query)?;
        // The iterator would panic at an error; `step` returns it.
        let schema = statement.stream_arrow([])?.get_schema();
        let mut output = begin(&schema)?;
        while let Some(rows) = statement.step()? {
            if !output.rows(&RecordBatch::from(rows))? {
                break;
            }
        }
        output.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::parquet::Table;
    use arrow_array::Int64Array;
    use arrow_schema::{DataType, Field};
    use std::fs::File;
    use std::sync::Arc;

    #[test]
    fn without_a_wall_the_rows_are_in_memory_and_no_path_is_left() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("pins.parquet").display().to_string();
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut table = Table::begin(File::create(&file).expect("made"), schema.clone(), &[]).expect("begun");
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).expect("rows");
        table.push(&rows).expect("written");
        table.end().expect("ended");
        let engine = Engine::open(256 << 20).unwrap_or_else(|why| panic!("{}", why.1));
        let before = std::fs::read(&file).expect("bytes");
        engine.give(&[("pins".to_owned(), file.clone())], false).unwrap_or_else(|why| panic!("{}", why.1));
        let run =
            |sql: &str| engine.0.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| error.to_string());
        assert_eq!(run("SELECT sum(id)::BIGINT FROM pins"), Ok(6));
        for sql in [
            format!("COPY pins TO '{file}' (USE_TMP_FILE false)"),
            format!("SELECT count(*) FROM '{file}'"),
            "SET enable_external_access=true".to_owned(),
            "SET memory_limit='8GB'".to_owned(),
        ] {
            let refused = run(&sql).expect_err(&sql);
            assert!(refused.contains("disabled by configuration") || refused.contains("locked"), "{sql}: {refused}");
        }
        assert_eq!(std::fs::read(&file).expect("bytes"), before);
    }
}
