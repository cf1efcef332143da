//! What was measured of the node, by time: four tables of samples. No snapshot is made for their sake, but each has them.

use super::apply::{State, transaction};
use super::error::IndexError;
use super::rows::fill_temp;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Samples by the time at which each was taken, in whole milliseconds.
pub type Series<S> = BTreeMap<Timestamp, S>;

/// Samples of every kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Kubo's process and the machine.
    pub system: Series<SystemState>,
    /// Peers and traffic.
    pub network: Series<NetworkState>,
    /// The repo and its disk.
    pub storage: Series<StorageState>,
    /// MFS.
    pub files: Series<FilesState>,
}

/// One kind of samples.
pub trait Kept: Sized + Clone + Send + Sync + 'static {
    /// Its table.
    const TABLE: &'static str;
    /// Those of this kind.
    fn of(samples: &Samples) -> &Series<Self>;
    /// The same, to be changed.
    fn of_mut(samples: &mut Samples) -> &mut Series<Self>;
    /// What was measured, column by column, without the time: name, type in SQL, values.
    fn columns<'a>(samples: impl Iterator<Item = &'a Self> + Clone) -> Vec<(&'static str, &'static str, ArrayRef)>;
    /// The sample in a row of its table.
    fn read(at: String, row: &Row<'_>) -> duckdb::Result<Self>;
    /// Whether nothing could be measured.
    fn is_blank(&self) -> bool;
}

/// Keeps these, and no longer those from before `from`.
#[derive(Clone, Debug)]
pub struct KeepSamples {
    /// What was measured.
    pub samples: Samples,
    /// What is older goes.
    pub from: Timestamp,
}

/// Asks for samples of one kind, newest first.
#[derive(Clone, Copy, Debug)]
pub struct AskSamples<S> {
    /// Only older ones; `None`: all.
    pub before: Option<Timestamp>,
    /// None from before; `None`: all.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub most: usize,
    /// Their kind.
    pub of: PhantomData<fn() -> S>,
}

/// A type of values that may be unknown.
trait Cell: Sized {
    const SQL: &'static str;
    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;
    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self>;
}

impl Cell for Option<u64> {
    const SQL: &'static str = "BIGINT";

    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(cells.map(|cell| cell.map(u64::cast_signed)).collect::<Int64Array>())
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
    }
}

impl Cell for Option<f64> {
    const SQL: &'static str = "DOUBLE";

    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(cells.copied().collect::<Float64Array>())
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}

impl Cell for Option<String> {
    const SQL: &'static str = "VARCHAR";

    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> ArrayRef {
        Arc::new(cells.map(Option::as_deref).collect::<StringArray>())
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}

/// Columns of sample and table have the same names.
macro_rules! kept {
    ($($state:ident, $kind:ident in $table:literal: $($field:ident),*;)*) => { $(
        impl Kept for $state {
            const TABLE: &'static str = $table;

            fn of(samples: &Samples) -> &Series<Self> {
                &samples.$kind
            }

            fn of_mut(samples: &mut Samples) -> &mut Series<Self> {
                &mut samples.$kind
            }

            fn columns<'a>(
                samples: impl Iterator<Item = &'a Self> + Clone,
            ) -> Vec<(&'static str, &'static str, ArrayRef)> {
                fn sql<C: Cell>(_: fn(&$state) -> &C) -> &'static str {
                    C::SQL
                }
                vec![$((
                    stringify!($field),
                    sql(|sample| &sample.$field),
                    Cell::column(samples.clone().map(|sample| &sample.$field)),
                )),*]
            }

            fn read(at: String, row: &Row<'_>) -> duckdb::Result<Self> {
                Ok($state { at, $($field: Cell::read(row, stringify!($field))?),* })
            }

            fn is_blank(&self) -> bool {
                true $(&& self.$field.is_none())*
            }
        }
    )* };
}

kept! {
    SystemState, system in "state_system":
        kubo_version, kubo_cpu, kubo_memory, kubo_uptime_s, load, memory_total, memory_available;
    NetworkState, network in "state_network": peers, bytes_in, bytes_out, rate_in, rate_out;
    StorageState, storage in "state_storage": repo_size, storage_max, disk_total, disk_free, pins;
    FilesState, files in "state_files": root, size, entries;
}

/// Keeps samples, all or none.
pub fn keep(connection: &Connection, state: &mut State, keep: KeepSamples) -> Result<(), IndexError> {
    transaction(connection, &state.meta(), || {
        keep_kind::<SystemState>(connection, &keep)?;
        keep_kind::<NetworkState>(connection, &keep)?;
        keep_kind::<StorageState>(connection, &keep)?;
        Ok(keep_kind::<FilesState>(connection, &keep)?)
    })
}

fn keep_kind<S: Kept>(connection: &Connection, keep: &KeepSamples) -> duckdb::Result<()> {
    let (table, series) = (S::TABLE, S::of(&keep.samples));
    if !series.is_empty() {
        let times = series.keys().map(|at| at.as_microsecond());
        let columns = S::columns(series.values());
        let names: String = columns.iter().map(|(name, sql, _)| format!(", {name} {sql}")).collect();
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times));
        let arrays = std::iter::once(times).chain(columns.into_iter().map(|(.., array)| array)).collect();
        fill_temp(connection, &format!("sampled(measured_at TIMESTAMP{names})"), arrays)?;
        // Whoever did not hear that they were kept brings them again.
        connection.execute_batch(&format!(
            "INSERT INTO {table} BY NAME
             SELECT * FROM sampled WHERE measured_at NOT IN (SELECT measured_at FROM {table})"
        ))?;
    }
    let sql = format!("DELETE FROM {table} WHERE measured_at < make_timestamp(?)");
    connection.execute(&sql, params![keep.from.as_microsecond()]).map(drop)
}

/// Samples, newest first.
pub fn samples<S: Kept>(connection: &Connection, ask: AskSamples<S>) -> Result<Vec<(Timestamp, S)>, IndexError> {
    let sql = format!(
        "SELECT epoch_us(measured_at), * FROM {}
         WHERE measured_at < make_timestamp(?) AND measured_at >= make_timestamp(?) ORDER BY measured_at DESC LIMIT {}",
        S::TABLE,
        ask.most
    );
    let mut statement = connection.prepare(&sql)?;
    let bounds = [ask.before.unwrap_or(Timestamp::MAX), ask.since.unwrap_or(Timestamp::MIN)];
    let found = statement.query_map(bounds.map(Timestamp::as_microsecond), |row| {
        let at = Timestamp::from_microsecond(row.get(0)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok((at, S::read(crate::time::text(at), row)?))
    })?;
    Ok(found.collect::<duckdb::Result<_>>()?)
}
