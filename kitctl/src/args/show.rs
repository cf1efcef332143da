//! How a list is shown: the options that all lists have.

use crate::parse::order;

const LIST: &str = "List options";

#[derive(clap::Args, Clone, Debug, Default)]
// `config show` has a group of this name.
#[group(skip)]
pub(crate) struct Show {
    /// At most so many
    #[arg(long, help_heading = LIST, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Leave out so many first
    #[arg(long, help_heading = LIST, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// Order by a column; with `:desc` the other way round. What is not known stands last
    #[arg(long, help_heading = LIST, value_name = "COLUMN[:desc]", value_parser = order, add = crate::complete::columns())]
    pub(crate) sort: Option<(String, bool)>,
    /// Columns of table and csv, and fields of the rows in json and ndjson, such as name,size; of arrow and parquet those of the
    /// snapshot's pins (docs/DATA.md). A wrong one is answered with all that there are
    #[arg(long, help_heading = LIST, value_name = "A,B", value_delimiter = ',', add = crate::complete::columns())]
    pub(crate) columns: Option<Vec<String>>,
    /// Leave out the header of table and csv
    #[arg(long, help_heading = LIST)]
    pub(crate) no_header: bool,
}
